/** Uploads, reviews and installs an archive. It continues while other pages are shown. */
import { ask, lines, upload, type Problem } from './node.ts'
import { appPath, go } from './place.svelte.ts'
import { session } from './session.svelte.ts'
import type { AppStatus, Review, Step } from './shapes.ts'

const KEPT = 'review '

class Installer {
  file = $state('')
  /** How much of the archive has arrived, from 0 to 1; null while nothing is uploaded. */
  sent = $state<number | null>(null)
  problem = $state.raw<Problem>()
  review = $state.raw<Review>()
  steps = $state.raw<Step[]>([])
  phase = $state<'idle' | 'installing' | 'done' | 'failed'>('idle')
  failure = $state.raw<Problem>()
  /** True if the installed app has pages. */
  pages = $state(false)
  #stop = new AbortController()

  /** Upload an archive and show what it asks for. */
  take(file: File): Promise<void> {
    this.#stop = new AbortController()
    return this.#taken(file.name, () => upload<Review>('/apps/review', file, (part) => (this.sent = part), this.#stop.signal))
  }

  /** Show what an app that comes with PCloud asks for. */
  takeBundled(name: string): Promise<void> {
    return this.#taken(name, () => ask<Review>('POST', `/apps/review?bundled=${encodeURIComponent(name)}`))
  }

  async #taken(file: string, load: () => Promise<Review>): Promise<void> {
    if (this.sent !== null) return
    Object.assign(this, { file, sent: 0, problem: undefined })
    try {
      const review = await load()
      this.#show(review)
      sessionStorage.setItem(KEPT + review.archive, JSON.stringify(review))
      go(`/install/${review.archive}`)
    } catch (error) {
      const problem = session.told(error)
      if (problem.code !== 'STOPPED') this.problem = problem
    } finally {
      this.sent = null
    }
  }

  stop(): void {
    this.#stop.abort()
  }

  /** The review of an archive, also after the page was reloaded. */
  open(archive: string): Review | undefined {
    if (this.review?.archive === archive) return this.review
    const kept = sessionStorage.getItem(KEPT + archive)
    if (kept) this.#show(JSON.parse(kept) as Review)
    return kept ? this.review : undefined
  }

  /** `stored`: what happens to the data that another author's app of this name has stored. */
  async install(approved: string[], stored: '' | 'hand-over' | 'forget' = ''): Promise<void> {
    const review = this.review!
    Object.assign(this, { phase: 'installing', steps: [], failure: undefined, pages: false })
    // Another archive may be reviewed meanwhile; this one continues in the background.
    const seen = () => this.review === review
    const query = new URLSearchParams({ archive: review.archive, approve: approved.join(','), 'hand-over': String(stored === 'hand-over') })
    try {
      if (stored === 'forget') for await (const line of lines<Partial<Step>>('DELETE', `${appPath(review.name)}?forget=true`)) if (line.step && seen()) this.steps = [...this.steps, { step: line.step, detail: line.detail ?? '' }]
      for await (const line of lines<Partial<Step>>('POST', `/apps?${query}`)) {
        if (line.step && seen()) this.steps = [...this.steps, { step: line.step, detail: line.detail ?? '' }]
      }
      sessionStorage.removeItem(KEPT + review.archive)
      const { web } = await ask<AppStatus>('GET', appPath(review.name))
      if (seen()) Object.assign(this, { phase: 'done', pages: web })
      else session.say(`${review.title || review.name} is running.`)
    } catch (error) {
      const failure = session.told(error)
      if (seen()) Object.assign(this, { phase: 'failed', failure })
      else session.say(`${review.title || review.name}: ${failure.message}`, { bad: true })
    }
  }

  #show(review: Review) {
    Object.assign(this, { review, phase: 'idle', steps: [], failure: undefined })
  }
}

export const installer = new Installer()
