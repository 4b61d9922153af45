/** The page's access to the graph: one POST for queries, one WebSocket for events. Both are on the page's own origin, where the
 * owner's rights are limited to this app's grants. The newest revision that was seen is sent along, so that no answer is older. */
import { createClient, type Client } from 'graphql-ws'

const ADDRESS = '/_pcloud/graphql'
const SECONDS = 20
const WAIT_MS = { first: 500, most: 15_000 }

export class GraphError extends Error {
  constructor(message: string, readonly code: string) {
    super(message)
  }
}

let revision = ''

/** The newest revision of any answer. */
export function seen(): string {
  return revision
}

/** The data of a query. Throws `GraphError`; code `OFFLINE` if the node can't be reached, `SIGNED_OUT` if the session has ended. */
export async function ask<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
  let response: Response
  try {
    response = await fetch(ADDRESS, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(revision && { 'Pcloud-Revision': revision }) },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(SECONDS * 1000),
    })
  } catch {
    throw new GraphError('Your cloud can’t be reached.', 'OFFLINE')
  }
  if (response.status === 401) throw new GraphError('You are signed out.', 'SIGNED_OUT')
  const body = await response.json().catch(() => null)
  if (!body) throw new GraphError(`Your cloud answered ${response.status}.`, 'OFFLINE')
  if (body.errors?.length) throw new GraphError(body.errors[0].message, body.errors[0].extensions?.code ?? '')
  revision = body.extensions?.revision ?? revision
  return body.data as Data
}

let client: Client | undefined

/** Follow a subscription until the returned function is called. After a lost connection it starts again with `variables()`, which name
 * the last revision that was seen. `connected` says whether it is connected; `refused`, that the node refuses it. */
export function follow<Data>(
  query: string,
  variables: () => Record<string, unknown>,
  { next, connected, refused }: { next: (data: Data) => void; connected: (on: boolean) => void; refused: () => void },
): () => void {
  client ??= createClient({
    url: () => `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${ADDRESS}`,
    retryAttempts: 0,
    keepAlive: 15_000,
  })
  let wait = WAIT_MS.first
  let [ended, stop] = [false, () => {}]
  let wake = () => {}
  const off = client.on('connected', () => {
    wait = WAIT_MS.first
    connected(true)
  })
  // A laptop that wakes up does not wait for the next attempt.
  const hurry = () => wake()
  addEventListener('online', hurry)
  void (async () => {
    while (!ended) {
      const results = client.iterate<Data>({ query, variables: variables() })
      stop = () => void results.return?.()
      try {
        for await (const result of results) if (result.data) next(result.data)
      } catch (error) {
        if (Array.isArray(error) && !ended) refused()
      }
      if (ended) return
      connected(false)
      await new Promise<void>((resolve) => {
        wake = resolve
        setTimeout(resolve, wait)
      })
      wait = Math.min(wait * 2, WAIT_MS.most)
    }
  })()
  return () => {
    ended = true
    off()
    removeEventListener('online', hurry)
    stop()
  }
}

/** Forget the revision, for example of a log that no longer exists. */
export function forget(): void {
  revision = ''
}
