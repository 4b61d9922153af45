/** An album of one picture, for an address whose picture the timeline can't reach. */
import { Album, type Source } from './album.ts'
import type { Picture } from './picture.ts'
import { geometry, sections } from './timeline.ts'

export default function single(picture: Picture): Album {
  const months = [{ key: 'alone', count: 1 }]
  const source: Source = {
    months, version: 0, at: () => picture, want: () => {}, wantAlso: () => {}, find: (id) => (id === picture.id ? { month: 'alone', index: 0 } : undefined),
  }
  const all = sections(months, geometry(1000, 1))
  return new Album(source, () => all, () => {})
}
