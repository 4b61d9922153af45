import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type ProxyOptions } from 'vite'

/** While the page is worked on, a running node answers its questions: see README.md. */
function node(): Record<string, ProxyOptions> {
  const given = process.env.PCLOUD_TARGET
  if (!given) return {}
  const { host, origin, port } = new URL(given)
  // Not every system's resolver knows names below localhost, but every browser does.
  const target = `http://127.0.0.1:${port}`
  const headers = { Cookie: process.env.PCLOUD_COOKIE ?? '', Host: host, Origin: origin }
  return Object.fromEntries(['/_pcloud', '/thumbnail', '/original'].map((path) => [path, { target, headers, ws: true }]))
}

export default defineConfig({
  plugins: [svelte()],
  build: { target: 'es2022', sourcemap: false },
  server: { proxy: node() },
})
