/** The pictures that the page holds: chunks of months, fetched when they are needed and dropped when the page holds too many.
 *
 * The needed chunks are set again each time the view moves, so fast scrolling does not leave a queue of requests behind. A stale chunk
 * is still shown until its successor has arrived, so nothing flickers. */
import { CHUNK, type Picture } from './picture.ts'

const AT_ONCE = 3
const MOST = 200
const RETRY_MS = 3000

export interface Range {
  month: string
  from: number
  to: number
}

export interface Page {
  pictures: Picture[]
  /** Where the next page begins, if the queries use cursors. */
  cursor: string | null
}

interface Chunk extends Page {
  stale: boolean
}

/** `after`: the cursor of the chunk before, if it is known; else `offset` counts from the month's beginning. */
export type Fetch = (month: string, offset: number, after: string | null) => Promise<Page>

export class Chunks {
  #chunks = new Map<string, Chunk>()
  #loading = new Map<string, boolean>() // name → true if it has become stale while loading
  #wanted: string[] = []
  #aside: string[] = []
  #epoch = 0
  #retry: ReturnType<typeof setTimeout> | undefined

  constructor(
    readonly fetch: Fetch,
    readonly changed: () => void,
    readonly failed: (error: unknown) => void,
  ) {}

  at(month: string, index: number): Picture | undefined {
    return this.#chunks.get(name(month, Math.floor(index / CHUNK)))?.pictures[index % CHUNK]
  }

  /** This is in view now, and nothing else. */
  want(ranges: Range[]): void {
    this.#wanted = ranges.flatMap(names)
    this.#pump()
  }

  /** Fetch this besides what is in view. */
  wantAlso(range: Range): void {
    this.#aside = [...new Set([...this.#aside.slice(-4), ...names(range)])]
    this.#pump()
  }

  /** Fetch the chunk around an index, unless it is held, and wait for it. */
  async bring(month: string, index: number): Promise<void> {
    const key = name(month, Math.floor(index / CHUNK))
    if (!this.#chunks.has(key) && !this.#loading.has(key)) await this.#load(key)
  }

  /** Fetch these months' pictures again when they are next in view; all months if no month is named. */
  stale(months?: Set<string>): void {
    for (const [key, chunk] of this.#chunks) if (!months || months.has(monthIn(key))) chunk.stale = true
    for (const key of this.#loading.keys()) if (!months || months.has(monthIn(key))) this.#loading.set(key, true)
    this.#pump()
  }

  /** Add a chunk that was fetched elsewhere. */
  put(month: string, number: number, page: Page): void {
    this.#used(name(month, number), { ...page, stale: false })
  }

  /** Drop everything: other queries are made from now on. */
  clear(): void {
    this.#epoch++
    this.#chunks.clear()
    this.#loading.clear()
    this.#wanted = this.#aside = []
    clearTimeout(this.#retry)
    this.#retry = undefined
  }

  find(id: string): { month: string; index: number } | undefined {
    for (const [key, { pictures }] of this.#chunks) {
      const at = pictures.findIndex((picture) => picture.id === id)
      if (at >= 0) return { month: monthIn(key), index: Number(key.slice(key.indexOf('#') + 1)) * CHUNK + at }
    }
    return undefined
  }

  /** Replace a picture by its changed version; returns the earlier one, or undefined if it is not held. */
  replace(picture: Picture): Picture | undefined {
    const found = this.find(picture.id)
    if (!found) return undefined
    const { pictures } = this.#chunks.get(name(found.month, Math.floor(found.index / CHUNK)))!
    const before = pictures[found.index % CHUNK]!
    pictures[found.index % CHUNK] = picture
    return before
  }

  #pump(): void {
    for (const key of [...this.#aside, ...this.#wanted]) {
      if (this.#loading.size >= AT_ONCE || this.#retry !== undefined) return
      const chunk = this.#chunks.get(key)
      if (chunk && !chunk.stale) this.#used(key, chunk)
      else if (!this.#loading.has(key)) void this.#load(key)
    }
  }

  async #load(key: string): Promise<void> {
    const epoch = this.#epoch
    this.#loading.set(key, false)
    const [month, number] = [monthIn(key), Number(key.slice(key.indexOf('#') + 1))]
    const before = number ? this.#chunks.get(name(month, number - 1)) : undefined
    try {
      const page = await this.fetch(month, number * CHUNK, before && !before.stale ? before.cursor : null)
      if (epoch !== this.#epoch) return
      this.#chunks.delete(key)
      this.#used(key, { ...page, stale: this.#loading.get(key) ?? false })
      this.#evict()
      this.changed()
    } catch (error) {
      if (epoch !== this.#epoch) return
      this.failed(error)
      this.#retry = setTimeout(() => ((this.#retry = undefined), this.#pump()), RETRY_MS)
    } finally {
      if (epoch === this.#epoch) {
        this.#loading.delete(key)
        this.#pump()
      }
    }
  }

  /** A Map keeps the order of insertion: the last used entry is at its end. */
  #used(key: string, chunk: Chunk): void {
    this.#chunks.delete(key)
    this.#chunks.set(key, chunk)
  }

  #evict(): void {
    for (const key of this.#chunks.keys()) {
      if (this.#chunks.size <= MOST) return
      if (!this.#wanted.includes(key)) this.#chunks.delete(key)
    }
  }
}

function names({ month, from, to }: Range): string[] {
  const [first, last] = [Math.floor(from / CHUNK), Math.floor((to - 1) / CHUNK)]
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => name(month, first + at))
}

function name(month: string, number: number): string {
  return `${month}#${number}`
}

function monthIn(key: string): string {
  return key.slice(0, key.indexOf('#'))
}
