/** Search as you type, with narrowing by camera, year and faces. */
import { GraphError } from './graph.ts'
import type { Library } from './library.svelte.ts'
import type { Picture } from './picture.ts'

const WAIT_MS = 120
const PAGE = 120

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

/** What can be narrowed by: the field as the graph calls it, and what people call it. */
export const FACETS: { field: string; label: string }[] = [
  { field: 'takenAt_year', label: 'Year' },
  { field: 'camera', label: 'Camera' },
  { field: 'faceCount', label: 'Faces' },
]

export class Search {
  text = $state('')
  chosen = $state<Record<string, string>>({})
  pictures = $state<Picture[]>([])
  total = $state(0)
  facets = $state<Record<string, FacetValue[]>>({})
  busy = $state(false)
  problem = $state('')
  focused = $state(false)
  #timer: ReturnType<typeof setTimeout> | undefined
  #turn = 0

  constructor(readonly library: Library) {}

  get active(): boolean {
    return this.text.trim() !== '' || Object.keys(this.chosen).length > 0
  }

  type(text: string): void {
    this.text = text
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
    this.pictures = []
  }

  refresh(): void {
    if (this.active) void this.run()
  }

  /** Fetch the first page; an answer that a newer question has overtaken is dropped. */
  async run(): Promise<void> {
    const turn = ++this.#turn
    this.busy = true
    try {
      const found = await this.#ask(0)
      if (turn !== this.#turn) return
      this.pictures = pictures(found)
      this.total = found.search.total
      this.facets = Object.fromEntries(found.search.facets.map(({ field, values }) => [field, values]))
      this.problem = ''
    } catch (error) {
      if (turn === this.#turn) this.problem = error instanceof GraphError ? error.message : String(error)
    } finally {
      if (turn === this.#turn) this.busy = false
    }
  }

  async more(): Promise<void> {
    if (this.busy || this.pictures.length >= this.total) return
    const turn = this.#turn
    this.busy = true
    try {
      const found = await this.#ask(this.pictures.length)
      if (turn === this.#turn) this.pictures = [...this.pictures, ...pictures(found)]
    } catch (error) {
      this.problem = error instanceof GraphError ? error.message : String(error)
    } finally {
      if (turn === this.#turn) this.busy = false
    }
  }

  #ask(offset: number): Promise<Found> {
    const facets = Object.entries(this.chosen).map(([field, value]) => ({ field, values: [value] }))
    const count = FACETS.map(({ field }) => field).filter((field) => this.library.faces || field !== 'faceCount')
    return this.library.search({ text: this.text.trim(), filter: { facets }, count, first: PAGE, offset }) as Promise<Found>
  }
}

function pictures(found: Found): Picture[] {
  return found.search.hits.map(({ node }) => node).filter((node): node is Picture => node !== null)
}
