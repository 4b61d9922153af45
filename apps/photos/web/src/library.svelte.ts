/** The pictures that the page knows: counts of all months, and chunks of tiles, fetched when they come into view.
 *
 * A month is fetched in chunks of `CHUNK`, by cursor where the chunk before is known and by offset where the reader has jumped ahead.
 * Events of images make the counts and the chunks they touch stale; they are fetched anew, gathered for a moment. */
import { ask, follow, GraphError } from './graph.ts'
import { FIELDS, questions, type Facts, type Picture, type Questions } from './picture.ts'
import { monthBounds, type Month } from './timeline.ts'

const CHUNK = 120
const GATHER_MS = 250
const MOST_CHUNKS = 200

interface Chunk {
  pictures: Picture[]
  cursor: string | null
}

type Counted = { aggregateImage: { count: number; group: { value: string | null; count: number }[] } }
type Page = { queryImage: (Picture & { _cursor: string })[] }
type Happened = { imageEvents: { kind: string; id: string; revision: string; node: Picture | null } }

export class Library {
  months = $state<Month[]>([])
  total = $state(0)
  state = $state<'loading' | 'ready' | 'failed'>('loading')
  problem = $state<GraphError | null>(null)
  live = $state(true)
  /** Raised when chunks have changed, so that what is drawn from `picture()` is drawn anew. */
  version = $state(0)
  faces = false
  #questions: Questions = questions(false)
  #chunks = new Map<string, Chunk>()
  #asked = new Set<string>()
  #revision: string | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  #stop = () => {}

  /** Fetch the counts and follow what happens from then on. */
  async open(): Promise<void> {
    this.state = 'loading'
    try {
      const { __type } = await ask<{ __type: { fields: { name: string }[] } | null }>(FIELDS)
      const names = new Set(__type?.fields.map((field) => field.name))
      this.faces = names.has('segments') && names.has('faceCount')
      this.#questions = questions(this.faces)
      await this.#count()
      this.state = 'ready'
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#stop()
    this.#stop = follow<Happened>(
      this.#questions.events,
      () => ({ after: this.#revision }),
      (data) => this.#happened(data.imageEvents),
      (on) => (this.live = on),
    )
  }

  close(): void {
    this.#stop()
    clearTimeout(this.#timer)
  }

  /** The picture at an index of a month, or undefined while it is on its way. */
  picture(month: string, index: number): Picture | undefined {
    void this.version
    return this.#chunks.get(chunkName(month, Math.floor(index / CHUNK)))?.pictures[index % CHUNK]
  }

  /** Fetch what is missing of a month's pictures [from, to). */
  need(month: string, from: number, to: number): void {
    for (let number = Math.floor(from / CHUNK); number <= Math.floor((to - 1) / CHUNK); number++) void this.#load(month, number)
  }

  async facts(id: string): Promise<Facts | null> {
    return (await ask<{ getImage: Facts | null }>(this.#questions.facts, { id })).getImage
  }

  search(variables: Record<string, unknown>): Promise<unknown> {
    return ask(this.#questions.search, variables)
  }

  async #count(): Promise<void> {
    const { aggregateImage } = await ask<Counted>(this.#questions.months)
    const months = aggregateImage.group.map(({ value, count }) => ({ key: value ?? '', count }))
    this.months = months.sort((a, b) => (a.key && b.key ? b.key.localeCompare(a.key) : b.key ? 1 : a.key ? -1 : 0))
    this.total = aggregateImage.count
  }

  async #load(month: string, number: number): Promise<void> {
    const name = chunkName(month, number)
    if (this.#chunks.has(name) || this.#asked.has(name)) return
    this.#asked.add(name)
    try {
      const after = number ? (this.#chunks.get(chunkName(month, number - 1))?.cursor ?? null) : null
      const filter = month ? { takenAt: { between: bounds(month) } } : { not: { has: ['takenAt'] } }
      const offset = after ? 0 : number * CHUNK
      const { queryImage } = await ask<Page>(this.#questions.page, { filter, first: CHUNK, offset, after })
      // Far-away chunks are forgotten again, oldest first, so that a long journey through 100,000 pictures stays small.
      if (this.#chunks.size >= MOST_CHUNKS) this.#chunks.delete(this.#chunks.keys().next().value!)
      this.#chunks.set(name, { pictures: queryImage, cursor: queryImage.at(-1)?._cursor ?? null })
      this.version++
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#asked.delete(name)
    }
  }

  #happened(event: Happened['imageEvents']): void {
    this.#revision = event.revision
    if (event.kind === 'updated' && event.node && this.#replace(event.node)) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#refresh(), GATHER_MS)
  }

  /** Put a changed picture in its place; false where its date has changed, which moves it. */
  #replace(node: Picture): boolean {
    for (const { pictures } of this.#chunks.values()) {
      const at = pictures.findIndex(({ id }) => id === node.id)
      if (at < 0) continue
      if (pictures[at]!.takenAt !== node.takenAt) return false
      pictures[at] = { ...pictures[at]!, ...node }
      this.version++
      return true
    }
    return true
  }

  async #refresh(): Promise<void> {
    try {
      const before = new Map(this.months.map(({ key, count }) => [key, count]))
      await this.#count()
      for (const { key, count } of this.months) if (before.get(key) !== count) this.#forget(key)
      this.version++
    } catch (error) {
      this.#fail(error)
    }
  }

  #forget(month: string): void {
    for (const name of this.#chunks.keys()) if (name.startsWith(`${month}#`)) this.#chunks.delete(name)
  }

  #fail(error: unknown): void {
    this.problem = error instanceof GraphError ? error : new GraphError(String(error), '')
    if (this.state === 'loading') this.state = 'failed'
  }
}

function chunkName(month: string, number: number): string {
  return `${month}#${number}`
}

function bounds(month: string): { min: string; max: string } {
  const [min, max] = monthBounds(month)
  return { min, max }
}
