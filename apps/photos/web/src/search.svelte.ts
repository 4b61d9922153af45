/** Search as you type, with filters by year, camera and faces. The results are shown as one long month named 'found'. */
import type { Source } from './album.ts'
import { Chunks, type Page, type Range } from './chunks.ts'
import { GraphError } from './graph.ts'
import type { Library } from './library.svelte.ts'
import { CHUNK, type Picture } from './picture.ts'
import type { Month } from './timeline.ts'

const WAIT_MS = 120
const FOUND = 'found'

export interface FacetValue {
  value: string
  count: number
}

interface Found {
  search: {
    total: number
    hits: { id: string; node: Picture | null }[]
    facets: { field: string; values: FacetValue[] }[]
  }
}

/** The filters: the field's name in the graph, and its name for people. */
export const FACETS: { field: string; label: string }[] = [
  { field: 'takenAt_year', label: 'Year' },
  { field: 'camera', label: 'Camera' },
  { field: 'faceCount', label: 'Faces' },
]

/** '2 faces', or the value itself if it is a name already. */
export function valueName(field: string, value: string): string {
  if (field !== 'faceCount') return value
  return value === '0' ? 'no faces' : value === '1' ? '1 face' : `${value} faces`
}

/** Years newest first, numbers of faces from 0 up, names by frequency (as they come). */
export function inOrder(field: string, values: FacetValue[]): FacetValue[] {
  if (field === 'takenAt_year') return [...values].sort((a, b) => Number(b.value) - Number(a.value))
  if (field === 'faceCount') return [...values].sort((a, b) => Number(a.value) - Number(b.value))
  return values
}

export class Search implements Source {
  text = $state('')
  chosen = $state.raw<Record<string, string>>({})
  total = $state(0)
  facets = $state.raw<Record<string, FacetValue[]>>({})
  busy = $state(false)
  problem = $state('')
  focused = $state(false)
  version = $state(0)
  readonly months: Month[] = $derived.by(() => [{ key: FOUND, count: this.total }])
  readonly active: boolean = $derived.by(() => this.text.trim() !== '' || Object.keys(this.chosen).length > 0)
  #timer: ReturnType<typeof setTimeout> | undefined
  #turn = 0
  #chunks = new Chunks((_, offset) => this.#page(offset), () => this.version++, (error) => this.#fail(error))

  constructor(readonly library: Library) {}

  type(text: string): void {
    this.text = text
    this.busy = true
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.run(), WAIT_MS)
  }

  choose(field: string, value: string): void {
    const { [field]: before, ...others } = this.chosen
    this.chosen = before === value ? others : { ...others, [field]: value }
    void this.run()
  }

  clear(): void {
    this.text = ''
    this.chosen = {}
    void this.run()
  }

  /** Something has changed in the library: fetch again what is shown. */
  refresh(): void {
    if (this.active || this.focused) void this.run()
  }

  /** Fetch the first page and the counts; an answer that a newer query has overtaken is dropped. */
  async run(): Promise<void> {
    clearTimeout(this.#timer)
    const turn = ++this.#turn
    this.busy = true
    try {
      const { search } = await this.#ask(0)
      if (turn !== this.#turn) return
      this.#chunks.clear()
      this.#chunks.put(FOUND, 0, { pictures: pictures(search), cursor: null })
      this.total = search.total
      this.facets = Object.fromEntries(search.facets.map(({ field, values }) => [field, inOrder(field, values)]))
      this.problem = ''
      this.version++
    } catch (error) {
      if (turn === this.#turn) this.#fail(error)
    } finally {
      if (turn === this.#turn) this.busy = false
    }
  }

  at(month: string, index: number): Picture | undefined {
    void this.version
    return this.#chunks.at(month, index)
  }

  want(ranges: Range[]): void {
    this.#chunks.want(ranges)
  }

  wantAlso(range: Range): void {
    this.#chunks.wantAlso(range)
  }

  find(id: string): { month: string; index: number } | undefined {
    return this.#chunks.find(id)
  }

  async #page(offset: number): Promise<Page> {
    return { pictures: pictures((await this.#ask(offset)).search), cursor: null }
  }

  /** Without words, hits can't be ranked: then the newest come first. */
  #ask(offset: number): Promise<Found> {
    const text = this.text.trim()
    const facets = Object.entries(this.chosen).map(([field, value]) => ({ field, values: [value] }))
    const count = FACETS.map(({ field }) => field).filter((field) => this.library.faces || field !== 'faceCount')
    return this.library.search<Found>({ text, filter: { facets }, count, offset, order: text ? null : 'takenAt' })
  }

  #fail(error: unknown): void {
    this.problem = error instanceof GraphError ? error.message : String(error)
  }
}

/** A deleted hit keeps its place, so that the pages after it stay where they are. */
function pictures({ hits }: Found['search']): Picture[] {
  return hits.slice(0, CHUNK).map(({ id, node }) => node ?? { id, width: 1, height: 1, takenAt: null, title: null, faceCount: null })
}
