/** The pictures that a grid shows and that the open picture's viewer steps through. */
import type { Range } from './chunks.ts'
import type { Picture } from './picture.ts'
import { locate, totalCount, type Month, type Section } from './timeline.ts'

/** Pictures by month and index: the whole timeline, or a search's results (as one month named 'found'). */
export interface Source {
  readonly months: Month[]
  /** Incremented whenever `at` may return something else. */
  readonly version: number
  at(month: string, index: number): Picture | undefined
  want(ranges: Range[]): void
  wantAlso(range: Range): void
  find(id: string): { month: string; index: number } | undefined
}

/** A row of pictures around an open one. If pictures before it are added or deleted meanwhile, its index stays the same and the row
 * moves under it. */
export class Album {
  #shift = 0

  constructor(
    readonly source: Source,
    readonly sections: () => Section[],
    /** Bring the tile of an index in the whole row into view and focus it. */
    readonly focus: (index: number) => void,
  ) {}

  /** Show the picture's tile, or the tile in its place. */
  reveal(id: string, index: number): void {
    this.focus((this.indexOf(id) ?? index) + this.#shift)
  }

  get count(): number {
    return Math.max(0, totalCount(this.sections()) - this.#shift)
  }

  at(index: number): Picture | undefined {
    const found = locate(this.sections(), index + this.#shift)
    return found && this.source.at(found.section.key, found.within)
  }

  need(index: number): void {
    const found = locate(this.sections(), index + this.#shift)
    if (found) this.source.wantAlso({ month: found.section.key, from: found.within, to: found.within + 1 })
  }

  /** The index of a picture that the page holds. */
  indexOf(id: string): number | undefined {
    const found = this.source.find(id)
    const section = found && this.sections().find(({ key }) => key === found.month)
    return section && section.first + found.index - this.#shift
  }

  /** The picture `id` was open at `index`: put it there again. */
  keep(id: string, index: number): void {
    const now = this.indexOf(id)
    if (now !== undefined) this.#shift += now - index
  }
}
