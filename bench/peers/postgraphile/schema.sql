-- The household of bench/apps/household, with an index wherever that one declares a search.
CREATE TABLE person (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE image (
  id text PRIMARY KEY DEFAULT gen_random_uuid()::text, place text NOT NULL, mime text NOT NULL, title text, camera text,
  taken_at timestamptz, width int NOT NULL, height int NOT NULL, size bigint, latitude float8, longitude float8
);
CREATE TABLE segment (
  id text PRIMARY KEY DEFAULT gen_random_uuid()::text, image_id text NOT NULL REFERENCES image, person_id text REFERENCES person,
  x float8 NOT NULL, y float8 NOT NULL, width float8 NOT NULL, height float8 NOT NULL, confidence float8 NOT NULL
);
COMMENT ON CONSTRAINT segment_image_id_fkey ON segment IS E'@fieldName image\n@foreignFieldName segments';
COMMENT ON CONSTRAINT segment_person_id_fkey ON segment IS E'@fieldName person\n@foreignFieldName segments';
