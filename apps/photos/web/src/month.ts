/** Months as the graph groups by them ('2024-07', or '' for no date): their names and their bounds. */
const LANGUAGE = typeof navigator === 'undefined' ? 'en' : navigator.language
const NAMES = {
  long: new Intl.DateTimeFormat(LANGUAGE, { month: 'long', year: 'numeric', timeZone: 'UTC' }),
  short: new Intl.DateTimeFormat(LANGUAGE, { month: 'short', year: 'numeric', timeZone: 'UTC' }),
}

/** 'July 2024' or 'Jul 2024'; 'No date' for pictures without one. */
export function monthName(key: string, style: 'long' | 'short' = 'long'): string {
  return key ? NAMES[style].format(start(key)) : 'No date'
}

/** The month that an instant as the graph writes it ('2024-07-23T15:15:00.000Z') belongs to. */
export function monthOf(takenAt: string | null): string {
  return takenAt ? takenAt.slice(0, 7) : ''
}

/** First and last instant of a month, as the graph compares them (both included). */
export function monthBounds(key: string): { min: string; max: string } {
  return { min: new Date(start(key)).toISOString(), max: new Date(start(key, 1) - 1).toISOString() }
}

/** Newest first; no date comes last. */
export function newestFirst(a: { key: string }, b: { key: string }): number {
  if (!a.key || !b.key) return a.key ? -1 : b.key ? 1 : 0
  return a.key < b.key ? 1 : a.key > b.key ? -1 : 0
}

function start(key: string, later = 0): number {
  const [year, month] = key.split('-').map(Number)
  return Date.UTC(year!, month! - 1 + later, 1)
}
