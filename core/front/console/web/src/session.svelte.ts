/** The browser's session, a credential that was just made, and messages about what was just done, with undo. */
import { Problem, signOut } from './node.ts'

export interface Toast {
  id: number
  text: string
  bad: boolean
  undo?: (() => unknown) | undefined
}

const SHOWN_MS = 7000

class Session {
  ended = $state(false)
  credential = $state('')
  toasts = $state.raw<Toast[]>([])
  #last = 0

  /** Turns any error into a problem that can be shown; notices if the session has ended. */
  told(error: unknown): Problem {
    const problem = error instanceof Problem ? error : new Problem(error instanceof Error ? error.message : String(error), '')
    if (problem.code === 'SIGNED_OUT') this.ended = true
    return problem
  }

  async leave(): Promise<void> {
    if (await this.attempt(signOut)) this.ended = true
  }

  /** Show a message for a while. Returns a function that removes it. */
  say(text: string, { undo, bad = false }: { undo?: () => unknown; bad?: boolean } = {}): () => void {
    const id = ++this.#last
    const end = () => (this.toasts = this.toasts.filter((one) => one.id !== id))
    this.toasts = [...this.toasts.slice(-2), { id, text, bad, undo: undo && (() => (end(), undo())) }]
    setTimeout(end, SHOWN_MS)
    return end
  }

  /** Do something now and show the outcome. Returns true if it worked. */
  async attempt(work: () => Promise<unknown>, done = '', undo?: () => unknown): Promise<boolean> {
    try {
      await work()
    } catch (error) {
      this.say(this.told(error).message, { bad: true })
      return false
    }
    if (done) this.say(done, undo ? { undo } : {})
    return true
  }

  /** Do something unless the owner undoes it while its message is shown. */
  later(work: () => Promise<unknown>, text: string, back: () => void): void {
    const timer = setTimeout(() => void this.attempt(work).then((worked) => worked || back()), SHOWN_MS)
    this.say(text, {
      undo: () => {
        clearTimeout(timer)
        back()
      },
    })
  }
}

export const session = new Session()
