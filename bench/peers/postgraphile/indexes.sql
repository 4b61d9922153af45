CREATE INDEX ON person (name);
CREATE INDEX ON image (place);
CREATE INDEX ON image (mime);
CREATE INDEX ON image (camera);
CREATE INDEX ON image (taken_at DESC, id);
CREATE INDEX ON image USING gin (to_tsvector('simple', coalesce(title, '')));
CREATE INDEX ON segment (image_id);
CREATE INDEX ON segment (person_id);
ANALYZE;
