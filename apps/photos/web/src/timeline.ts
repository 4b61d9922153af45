/** The arithmetic of the timeline: where each month is, and which of its tiles are in view. Pure; the page only draws the result.
 *
 * All heights follow from the months' counts alone, so the scroll bar is right from the start and 100,000 pictures cost no more than
 * what is on the screen. Months that are shorter than a line share one, so that a sparse year does not look empty. */

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
  /** The column where it begins: not 0 for a month that shares its line with the one before. */
  column: number
  /** Index of its first picture in the whole timeline. */
  first: number
}

/** The part of a section that is in view: indices within it, `to` excluded. */
export interface Visible {
  section: Section
  from: number
  to: number
}

const PHONE = 600

/** How many tiles share a line: three on a phone; on wide screens more, and larger ones while there are only a few to see. */
export function geometry(width: number, total: number): Geometry {
  const phone = width < PHONE
  const gap = phone ? 2 : 6
  const wanted = phone ? 130 : total <= 16 ? 280 : total <= 60 ? 235 : 195
  const columns = Math.max(3, Math.round(width / wanted))
  return { columns, side: (width - gap * (columns - 1)) / columns, gap, heading: phone ? 44 : 58 }
}

export function sections(months: Month[], { columns, side, gap, heading }: Geometry): Section[] {
  const all: Section[] = []
  let [top, first, used, height] = [0, 0, 0, 0]
  for (const { key, count } of months) {
    if (count <= 0) continue
    if (used + count > columns) [top, used] = [top + height, 0]
    height = heading + Math.ceil(count / columns) * (side + gap)
    all.push({ key, count, top, height, column: used, first })
    used = Math.min(columns, used + count)
    first += count
  }
  return all
}

export function totalHeight(all: Section[]): number {
  const last = all.at(-1)
  return last ? last.top + last.height : 0
}

/** The sections that touch the window [top, bottom), each with the tiles of it that do. */
export function visible(all: Section[], shape: Geometry, top: number, bottom: number): Visible[] {
  const pitch = shape.side + shape.gap
  const found: Visible[] = []
  for (let at = firstEndingAfter(all, top); at < all.length && all[at]!.top < bottom; at++) {
    const section = all[at]!
    const start = section.top + shape.heading
    const from = Math.max(0, Math.floor((top - start) / pitch)) * shape.columns
    const to = Math.max(0, Math.ceil((bottom - start) / pitch)) * shape.columns
    found.push({ section, from: Math.min(from, section.count), to: Math.min(to, section.count) })
  }
  return found
}

/** The position of a section's picture, relative to the section's own corner. */
export function place({ columns, side, gap, heading }: Geometry, within: number): { left: number; top: number } {
  return { left: (within % columns) * (side + gap), top: heading + Math.floor(within / columns) * (side + gap) }
}

/** Where the picture with this index in the whole timeline is: section and index within it. */
export function locate(all: Section[], index: number): { section: Section; within: number } | undefined {
  const section = all[lastWith(all, (one) => one.first <= index)]
  return section && index >= 0 && index < section.first + section.count ? { section, within: index - section.first } : undefined
}

/** The section at a height; below the end, the last one. */
export function sectionAt(all: Section[], y: number): Section | undefined {
  return all[Math.min(firstEndingAfter(all, y), all.length - 1)]
}

/** The index of the picture that an arrow key leads to: left and right by one, up and down by a line as drawn. */
export function neighbour(all: Section[], { columns }: Geometry, index: number, key: string): number | undefined {
  const here = locate(all, index)
  if (!here) return undefined
  const last = totalCount(all) - 1
  const across = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: last }[key]
  if (across !== undefined) return Math.max(0, Math.min(last, across))
  if (key !== 'ArrowUp' && key !== 'ArrowDown') return undefined
  const step = key === 'ArrowUp' ? -1 : 1
  const { section, within } = here
  const line = Math.floor(within / columns) + step
  if (line >= 0 && line * columns < section.count) return section.first + Math.min(section.count - 1, within + step * columns)
  return inNextLine(all, section, section.column + (within % columns), columns, step) ?? index
}

export function totalCount(all: Section[]): number {
  const last = all.at(-1)
  return last ? last.first + last.count : 0
}

/** The picture nearest to a column in the line of sections above or below. */
function inNextLine(all: Section[], from: Section, column: number, columns: number, step: number): number | undefined {
  let at = all.indexOf(from)
  while (all[at]?.top === from.top) at += step
  const line = all.filter((section) => section.top === all[at]?.top)
  const section = line.findLast((one) => one.column <= column) ?? line[0]
  if (!section) return undefined
  const lineStart = step < 0 ? Math.floor((section.count - 1) / columns) * columns : 0
  return section.first + Math.min(section.count - 1, lineStart + Math.max(0, column - section.column))
}

function firstEndingAfter(all: Section[], top: number): number {
  return lastWith(all, (section) => section.top + section.height <= top) + 1
}

/** The last index up to which a condition holds for all; -1 if it does not hold for the first. */
function lastWith(all: Section[], holds: (section: Section) => boolean): number {
  let low = 0
  let high = all.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(all[middle]!)) low = middle + 1
    else high = middle
  }
  return low - 1
}
