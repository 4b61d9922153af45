/** The timeline's pictures: counts of all months, and the tiles in view.
 *
 * Events of images make the counts and their months stale; these are fetched again at most once a second, so that a burst of uploads
 * costs a few queries. An event that does not move a picture (faces that were found later) is applied at once. */
import type { Source } from './album.ts'
import { Chunks, type Page, type Range } from './chunks.ts'
import { ask, follow, forget, GraphError, seen } from './graph.ts'
import { monthBounds, monthOf, newestFirst } from './month.ts'
import { CHUNK, FIELDS, questions, type Facts, type Picture, type Questions } from './picture.ts'
import type { Month } from './timeline.ts'

const GATHER_MS = 200
const PAUSE_MS = 1000
const MOST_TIES = 3 // chunks
const RESTART_MS = 60_000

type Counted = { aggregateImage: { count: number; group: { value: string | null; count: number }[] } }
type Rows = { queryImage: (Picture & { _cursor: string })[] }
type Happened = { imageEvents: { kind: string; id: string; revision: string; node: Picture | null } }

export class Library implements Source {
  months = $state.raw<Month[]>([])
  total = $state(0)
  state = $state<'loading' | 'ready' | 'failed'>('loading')
  /** Why the page can't be shown, or, once it is ready, the last error. */
  problem = $state.raw<GraphError | null>(null)
  live = $state(true)
  version = $state(0)
  faces = false
  #questions: Questions = questions(false)
  #chunks = new Chunks((...what) => this.#page(...what), () => this.#arrived(), (error) => this.#fail(error))
  #revision = ''
  #touched: Set<string> | 'all' = new Set()
  #timer: ReturnType<typeof setTimeout> | undefined
  #refreshed = 0
  #restarted = 0
  #watchers = new Set<(id: string) => void>()
  #stop = () => {}

  /** Fetch the counts and follow the events from then on. */
  async open(): Promise<void> {
    this.close()
    this.state = 'loading'
    this.problem = null
    this.#chunks.clear()
    try {
      const { __type } = await ask<{ __type: { fields: { name: string }[] } | null }>(FIELDS)
      const names = new Set(__type?.fields.map((field) => field.name))
      this.faces = names.has('segments') && names.has('faceCount')
      this.#questions = questions(this.faces)
      await this.#count()
      this.#revision = seen()
      this.state = 'ready'
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#stop = follow<Happened>(this.#questions.events, () => ({ after: this.#revision || null }), {
      next: (data) => this.#happened(data.imageEvents),
      connected: (on) => this.#connected(on),
      refused: () => this.#startAgain(),
    })
  }

  close(): void {
    this.#stop()
    this.#stop = () => {}
    clearTimeout(this.#timer)
    this.#timer = undefined
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

  /** Call a function with the ids of changed images; returns a function that ends this. */
  watch(watcher: (id: string) => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  async facts(id: string): Promise<Facts | null> {
    return (await ask<{ getImage: Facts | null }>(this.#questions.facts, { id })).getImage
  }

  search<Found>(variables: Record<string, unknown>): Promise<Found> {
    return ask<Found>(this.#questions.search, variables)
  }

  /** Fetch the part of the timeline around a picture of which only the id is known; afterwards `find` finds it. */
  async around(picture: Picture): Promise<void> {
    const month = monthOf(picture.takenAt)
    if (this.find(picture.id)) return
    if (!picture.takenAt) return this.#chunks.bring(month, 0)
    const filter = { takenAt: { gt: picture.takenAt, le: monthBounds(month).max } }
    const { aggregateImage } = await ask<{ aggregateImage: { count: number } }>(this.#questions.before, { filter })
    // Pictures of the same instant, as in a burst, are between the count and the picture.
    for (let turn = 0; turn < MOST_TIES && !this.find(picture.id); turn++) await this.#chunks.bring(month, aggregateImage.count + turn * CHUNK)
  }

  async #count(): Promise<void> {
    const { aggregateImage } = await ask<Counted>(this.#questions.months)
    this.months = aggregateImage.group.map(({ value, count }) => ({ key: value ?? '', count })).sort(newestFirst)
    this.total = aggregateImage.count
  }

  async #page(month: string, offset: number, after: string | null): Promise<Page> {
    const filter = month ? { takenAt: { between: monthBounds(month) } } : { not: { has: ['takenAt'] } }
    const { queryImage } = await ask<Rows>(this.#questions.page, { filter, offset: after ? 0 : offset, after })
    return { pictures: queryImage, cursor: queryImage.at(-1)?._cursor ?? null }
  }

  #arrived(): void {
    this.problem = null
    this.version++
  }

  #happened({ kind, id, revision, node }: Happened['imageEvents']): void {
    this.#revision = revision
    for (const watcher of this.#watchers) watcher(id)
    const before = node ? this.#chunks.replace(node) : undefined
    if (before) this.version++
    if (kind === 'updated' && node && before?.takenAt === node.takenAt) return
    if (kind === 'updated' && node && !before) return this.#soon(monthOf(node.takenAt))
    const known = before ?? this.#known(id)
    if (known) this.#soon(monthOf(known.takenAt))
    this.#soon(node ? monthOf(node.takenAt) : undefined)
  }

  #known(id: string): Picture | undefined {
    const found = this.#chunks.find(id)
    return found && this.#chunks.at(found.month, found.index)
  }

  /** Fetch changed parts again, soon, and not too often. */
  #soon(month?: string): void {
    if (month !== undefined && this.#touched !== 'all') this.#touched.add(month)
    this.#timer ??= setTimeout(() => void this.#refresh(), Math.max(GATHER_MS, this.#refreshed + PAUSE_MS - Date.now()))
  }

  async #refresh(): Promise<void> {
    const touched = this.#touched
    this.#touched = new Set()
    try {
      const before = new Map(this.months.map(({ key, count }) => [key, count]))
      await this.#count()
      const changed = this.months.filter(({ key, count }) => before.get(key) !== count).map(({ key }) => key)
      this.#chunks.stale(touched === 'all' ? undefined : new Set([...touched, ...changed]))
      this.#arrived()
    } catch (error) {
      this.#touched = 'all'
      this.#fail(error)
    } finally {
      this.#refreshed = Date.now()
      this.#timer = undefined
    }
  }

  /** After a lost connection, the next query shows whether the session has ended; when the connection is back, all is fetched again. */
  #connected(on: boolean): void {
    if (on === this.live) return
    this.live = on
    this.#touched = 'all'
    this.#soon()
  }

  /** The log is another one (a restore), or an app has removed fields: read everything from the start. */
  #startAgain(): void {
    if (Date.now() - this.#restarted < RESTART_MS) return
    this.#restarted = Date.now()
    this.close()
    forget()
    this.#timer = setTimeout(() => void this.open(), PAUSE_MS)
  }

  #fail(error: unknown): void {
    this.problem = error instanceof GraphError ? error : new GraphError(String(error), '')
    if (this.state === 'loading' || this.problem.code === 'SIGNED_OUT') {
      this.state = 'failed'
      this.close()
    } else if (/REJECTED|VALIDATION/.test(this.problem.code)) {
      this.#startAgain()
    }
  }
}
