/** The arithmetic of the timeline: which month is where, and which tiles are in view. Pure; the page only draws what comes out.
 *
 * All heights are known from the months' counts alone, so the scroll bar is right from the start and 100,000 pictures cost no more than
 * the rows that are on the screen. */

/** `key`: '2024-07', or '' for pictures without a date, which come last. */
export interface Month {
  key: string
  count: number
}

export interface Geometry {
  columns: number
  /** Side of a tile and gap between tiles, in pixels. */
  side: number
  gap: number
  /** Height of a month's heading. */
  heading: number
}

export interface Section extends Month {
  top: number
  height: number
  /** Index of its first picture in the whole timeline. */
  first: number
}

export interface Row {
  section: Section
  top: number
  /** Indices within the section, end excluded. */
  from: number
  to: number
}

/** Wide screens get more and larger tiles; a phone in the hand gets three. */
export function geometry(width: number): Geometry {
  const gap = width < 600 ? 2 : 6
  const columns = Math.max(3, Math.round(width / (width < 600 ? 130 : 210)))
  return { columns, side: (width - gap * (columns - 1)) / columns, gap, heading: width < 600 ? 52 : 64 }
}

export function sections(months: Month[], { columns, side, gap, heading }: Geometry): Section[] {
  let top = 0
  let first = 0
  return months
    .filter((month) => month.count > 0)
    .map((month) => {
      const height = heading + Math.ceil(month.count / columns) * (side + gap)
      const section = { ...month, top, height, first }
      top += height
      first += month.count
      return section
    })
}

export function totalHeight(all: Section[]): number {
  const last = all.at(-1)
  return last ? last.top + last.height : 0
}

/** The sections that touch the window [top, bottom). */
export function sectionsIn(all: Section[], top: number, bottom: number): Section[] {
  return all.slice(firstEndingAfter(all, top)).filter((section) => section.top < bottom)
}

/** The rows of tiles that touch the window [top, bottom). */
export function rowsIn(all: Section[], { columns, side, gap, heading }: Geometry, top: number, bottom: number): Row[] {
  const rows: Row[] = []
  for (const section of sectionsIn(all, top, bottom)) {
    const start = section.top + heading
    const pitch = side + gap
    const from = Math.max(0, Math.floor((top - start) / pitch))
    const to = Math.min(Math.ceil(section.count / columns), Math.ceil((bottom - start) / pitch))
    for (let row = from; row < to; row++) {
      rows.push({
        section,
        top: start + row * pitch,
        from: row * columns,
        to: Math.min(section.count, (row + 1) * columns),
      })
    }
  }
  return rows
}

/** Where the picture with this index in the whole timeline is: section and index within it. */
export function locate(all: Section[], index: number): { section: Section; within: number } | undefined {
  let low = 0
  let high = all.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const section = all[middle]!
    if (index < section.first) high = middle - 1
    else if (index >= section.first + section.count) low = middle + 1
    else return { section, within: index - section.first }
  }
  return undefined
}

/** The distance from the top at which this picture's row begins. */
export function topOf(section: Section, within: number, { columns, side, gap, heading }: Geometry): number {
  return section.top + heading + Math.floor(within / columns) * (side + gap)
}

function firstEndingAfter(all: Section[], top: number): number {
  let low = 0
  let high = all.length
  while (low < high) {
    const middle = (low + high) >> 1
    const section = all[middle]!
    if (section.top + section.height <= top) low = middle + 1
    else high = middle
  }
  return low
}

const LANGUAGE = typeof navigator === 'undefined' ? 'en' : navigator.language

/** 'July 2024'; 'No date' for pictures without one. */
export function monthName(key: string): string {
  if (!key) return 'No date'
  const [year, month] = key.split('-').map(Number)
  return new Intl.DateTimeFormat(LANGUAGE, { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(
    Date.UTC(year!, month! - 1, 1),
  )
}

/** First and last instant of a month, as the graph compares them (both included). */
export function monthBounds(key: string): [string, string] {
  const [year, month] = key.split('-').map(Number)
  return [new Date(Date.UTC(year!, month! - 1, 1)).toISOString(), new Date(Date.UTC(year!, month!, 1) - 1).toISOString()]
}
