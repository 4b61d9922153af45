/** The page's access to the node: the administration's routes, below `/api` of the page's own origin. */
const API = '/api'
const SECONDS = 30

/** What went wrong, in words for the owner. Code `OFFLINE`: the node can't be reached; `SIGNED_OUT`: the session has ended. */
export class Problem extends Error {
  constructor(message: string, readonly code: string) {
    super(message)
  }
}

/** Sends one request and returns its answer; throws `Problem`. */
export async function ask<Answer>(method: string, path: string, json?: unknown, seconds = SECONDS): Promise<Answer> {
  const response = await send(method, path, json, AbortSignal.timeout(seconds * 1000))
  return (await response.json().catch(() => null)) as Answer
}

/** The data of a GraphQL request through the owner's whole view; throws `Problem`. */
export async function graph<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
  const body = await ask<{ data: Data; errors?: Refusal[] }>('POST', '/graphql', { query, variables })
  if (body.errors?.length) throw refused(body.errors[0]!)
  return body.data
}

/** Yields the lines of a long task as they arrive; throws `Problem` if the task fails. */
export async function* lines<Line extends object>(method: string, path: string, signal?: AbortSignal): AsyncGenerator<Line> {
  const response = await send(method, path, undefined, signal)
  if (!response.headers.get('Content-Type')?.includes('ndjson')) {
    yield { result: await response.json().catch(() => null) } as Line
    return
  }
  let rest = ''
  try {
    for await (const text of response.body!.pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
      const parts = (rest + text).split('\n')
      rest = parts.pop()!
      for (const part of parts) if (part) yield checked<Line>(JSON.parse(part))
    }
  } catch (error) {
    if (error instanceof Problem || signal?.aborted) throw error
    throw new Problem('The connection to your cloud was lost. Work that was started continues there.', 'OFFLINE')
  }
}

/** Send a file and report the part that has arrived, from 0 to 1; throws `Problem`. */
export function upload<Answer>(path: string, file: Blob, progress: (part: number) => void, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', API + path)
    request.setRequestHeader('Content-Type', 'application/octet-stream')
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 1)
    request.onload = () => (request.status < 300 ? resolve(JSON.parse(request.responseText) as Answer) : reject(problemOf(request.status, request.responseText)))
    request.onerror = () => reject(offline())
    request.onabort = () => reject(new Problem('You stopped the upload.', 'STOPPED'))
    signal.addEventListener('abort', () => request.abort())
    request.send(file)
  })
}

/** End this browser's session, on all origins; throws `Problem`. */
export async function signOut(): Promise<void> {
  const response = await fetch('/_pcloud/signout', { method: 'POST' }).catch(() => {
    throw offline()
  })
  if (!response.ok) throw problemOf(response.status, await response.text().catch(() => ''))
}

type Refusal = { message: string; extensions?: { code?: string } }

async function send(method: string, path: string, json: unknown, signal?: AbortSignal): Promise<Response> {
  let response: Response
  const body = json === undefined ? {} : { body: JSON.stringify(json), headers: { 'Content-Type': 'application/json' } }
  try {
    response = await fetch(API + path, { method, ...body, ...(signal && { signal }) })
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw offline()
  }
  if (!response.ok) throw problemOf(response.status, await response.text().catch(() => ''))
  return response
}

function offline() {
  return new Problem('Your cloud can’t be reached. It may be starting, or this device may be offline.', 'OFFLINE')
}

export function problemOf(status: number, text: string): Problem {
  if (status === 401) return new Problem('You are signed out.', 'SIGNED_OUT')
  try {
    const body = JSON.parse(text) as { errors?: Refusal[]; error?: { message: string; code: string } }
    if (body.errors?.[0]) return refused(body.errors[0])
    if (body.error) return new Problem(body.error.message, body.error.code)
  } catch {
    // Not JSON, so it is a sentence.
  }
  return new Problem(text.slice(0, 400) || `Your cloud answered ${status}.`, `HTTP_${status}`)
}

function refused({ message, extensions }: Refusal): Problem {
  return new Problem(message, extensions?.code ?? '')
}

function checked<Line>(record: Line & { error?: { message: string; code: string } }): Line {
  if (record.error?.message) throw new Problem(record.error.message, record.error.code)
  return record
}
