/** The fields of one picture, and the queries that fetch them. */
/** How many pictures one query fetches. */
export const CHUNK = 120

export interface Face {
  id: string
  x: number
  y: number
  width: number
  height: number
  confidence: number
  label: string | null
}

/** The fields of a tile. */
export interface Picture {
  id: string
  width: number
  height: number
  takenAt: string | null
  title: string | null
  faceCount: number | null
}

/** The further fields of the open picture. */
export interface Facts extends Picture {
  place: string
  mime: string
  size: number | null
  takenAtZone: string | null
  camera: string | null
  lens: string | null
  exposure: string | null
  fNumber: number | null
  iso: number | null
  focalLength: number | null
  latitude: number | null
  longitude: number | null
  segments: Face[]
}

/** The faces' fields exist only where an app has added them to images. */
export function questions(faces: boolean) {
  const tile = `id width height takenAt title ${faces ? 'faceCount' : ''}`
  const segments = faces ? 'segments(first: 300) { id x y width height confidence label }' : ''
  return {
    months: `{ aggregateImage { count group(by: takenAt_month, first: 1000) { value count } } }`,
    before: `query($filter: ImageFilter) { aggregateImage(filter: $filter) { count } }`,
    page: `query($filter: ImageFilter, $offset: Int, $after: String) {
      queryImage(filter: $filter, order: [{ desc: takenAt }], first: ${CHUNK}, offset: $offset, after: $after) { ${tile} _cursor }
    }`,
    facts: `query($id: ID!) { getImage(id: $id) { ${tile} place mime size takenAtZone camera lens exposure fNumber iso focalLength
      latitude longitude ${segments} } }`,
    search: `query($text: String!, $filter: SearchFilter, $count: [String!], $order: String, $offset: Int) {
      search(text: $text, types: ["Image"], filter: $filter, count: $count, order: $order, first: ${CHUNK}, offset: $offset) {
        total hits { id node { ... on Image { ${tile} } } } facets { field values { value count } }
      }
    }`,
    events: `subscription($after: String) { imageEvents(after: $after) { kind id revision node { ${tile} } } }`,
  }
}

export type Questions = ReturnType<typeof questions>

export const FIELDS = `{ __type(name: "Image") { fields { name } } }`

export function thumbnail(id: string, size: 'tile' | 'screen'): string {
  return `/thumbnail/${id}/${size}`
}

const LANGUAGE = typeof navigator === 'undefined' ? 'en' : navigator.language

// Making a formatter takes far longer than using it, and each tile has a name.
const DAY = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: 'medium', timeZone: 'UTC' })

/** 'Tuesday, 23 July 2024 at 10:15', in the zone where it was taken. */
export function takenText(takenAt: string | null, zone: string | null): string {
  if (!takenAt) return ''
  const offset = /^([+-])(\d\d):(\d\d)$/.exec(zone ?? '')
  const minutes = offset ? (offset[1] === '-' ? -1 : 1) * (Number(offset[2]) * 60 + Number(offset[3])) : 0
  return new Intl.DateTimeFormat(LANGUAGE, { dateStyle: 'full', timeStyle: 'short', timeZone: 'UTC' }).format(
    new Date(Date.parse(takenAt) + minutes * 60_000),
  )
}

/** 29.5593° N, 95.0900° W */
export function coordinates(latitude: number, longitude: number): string {
  const side = (value: number, plus: string, minus: string) => `${Math.abs(value).toFixed(4)}° ${value < 0 ? minus : plus}`
  return `${side(latitude, 'N', 'S')}, ${side(longitude, 'E', 'W')}`
}

export function mapAddress(latitude: number, longitude: number): string {
  return `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=14/${latitude}/${longitude}`
}

export function bytesText(size: number | null): string {
  if (size === null) return ''
  const units = ['B', 'KB', 'MB', 'GB']
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, size)) / 3))
  return `${(size / 1000 ** power).toFixed(power && size / 1000 ** power < 10 ? 1 : 0)} ${units[power]}`
}

/** What a screen reader and the tooltip say. */
export function pictureName(picture: Picture): string {
  const day = picture.takenAt ? DAY.format(new Date(picture.takenAt)) : ''
  return [picture.title || 'Photograph', day].filter(Boolean).join(', ')
}
