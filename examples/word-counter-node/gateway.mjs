// The gateway: HTTP over the app's own address, a unix socket or a port of 127.0.0.1. PCloud identifies the app by it.

import { request } from 'node:http'

const url = process.env.PCLOUD_URL
const place = url.startsWith('unix://')
  ? { socketPath: url.slice('unix://'.length) }
  : { host: new URL(url).hostname, port: new URL(url).port }

// Send JSON, read JSON.
function post(path, headers, body) {
  return new Promise((resolve, reject) => {
    const sent = { 'Content-Type': 'application/json', ...headers }
    const asked = request({ ...place, path, method: 'POST', headers: sent }, (answer) => {
      const parts = []
      answer.on('data', (part) => parts.push(part))
      answer.on('error', reject)
      answer.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(parts).toString()))
        } catch (error) {
          reject(error)
        }
      })
    })
    asked.on('error', reject)
    asked.end(JSON.stringify(body))
  })
}

// An error with one of PCloud's codes; any other exception becomes INTERNAL.
export class Told extends Error {
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

// One call's access to the graph: it sends the call's run and revision, and a number with each write, so that a call that is
// repeated after a crash writes only once.
export class Graph {
  constructor(call) {
    this.run = call['Pcloud-Run'] ?? ''
    this.revision = call['Pcloud-Revision'] ?? ''
    this.writes = 0
  }

  query(document, variables) {
    return this.ask(document, variables, {})
  }

  mutate(document, variables) {
    return this.ask(document, variables, this.run ? { 'Pcloud-Ordinal': String(++this.writes) } : {})
  }

  async ask(document, variables, headers) {
    if (this.run) headers['Pcloud-Run'] = this.run
    if (this.revision) headers['Pcloud-Revision'] = this.revision
    const answer = await post('/graphql', headers, { query: document, variables })
    const error = answer.errors?.[0] ?? answer.error
    if (error) throw new Told(error.extensions?.code ?? error.code ?? 'INTERNAL', error.message)
    this.revision = answer.extensions?.revision ?? this.revision
    return answer.data
  }
}
