import type { Picture } from './picture.ts'

/** A row of pictures that the open picture can be turned through: the whole timeline, or what a search found. */
export interface Album {
  count: number
  /** The picture at an index, or undefined while it is on its way. */
  at(index: number): Picture | undefined
  /** Fetch what is missing around an index. */
  need(index: number): void
}
