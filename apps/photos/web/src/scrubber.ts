/** The arithmetic of the scrubber: where along its track the years are shown. Pure. */
import type { Section } from './timeline.ts'

export interface Mark {
  year: string
  /** 0 at the top of the timeline, 1 at its end. */
  at: number
}

/** The beginnings of the years, except those closer than `distance` (a fraction of the track's length) to the one above. */
export function marks(sections: Section[], tall: number, distance: number): Mark[] {
  const found: Mark[] = []
  let last = ''
  for (const { key, top } of sections) {
    const year = key.slice(0, 4)
    if (!year || year === last) continue
    last = year
    const at = top / tall
    if (!found.length || at - found.at(-1)!.at >= distance) found.push({ year, at })
  }
  return found
}
