/** Data of the node that is loaded again every few seconds while the page is visible. */
import { Problem } from './node.ts'
import { session } from './session.svelte.ts'

export class Polled<Data> {
  data = $state.raw<Data>()
  problem = $state.raw<Problem>()
  #load: () => Promise<Data>
  #milliseconds: number
  #round = 0
  #asking = 0

  constructor(load: () => Promise<Data>, milliseconds = 2500) {
    this.#load = load
    this.#milliseconds = milliseconds
  }

  /** Begin; returns a function that stops it. Earlier data is kept until the first answer. */
  start(): () => void {
    const seen = () => document.visibilityState === 'visible' && void this.refresh()
    // One request at a time: a slow node is not asked faster than it answers.
    const timer = setInterval(() => this.#asking || seen(), this.#milliseconds)
    document.addEventListener('visibilitychange', seen)
    void this.refresh()
    return () => {
      this.#round++
      clearInterval(timer)
      document.removeEventListener('visibilitychange', seen)
    }
  }

  /** Load now. The answer to an earlier request never replaces the answer to a later one. */
  async refresh(): Promise<void> {
    const round = ++this.#round
    this.#asking++
    try {
      const data = await this.#load()
      if (round !== this.#round) return
      this.data = data
      this.problem = undefined
    } catch (error) {
      if (round === this.#round) this.problem = session.told(error)
    } finally {
      this.#asking--
    }
  }
}
