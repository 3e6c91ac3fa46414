// Sends events with Segment's SDK for browsers, bundled, from a page of another origin in headless Chromium:
// browser.mjs URL WRITE_KEY PART CHROMIUM
import http from 'node:http'
import { createRequire } from 'node:module'
import { build } from 'esbuild'
import puppeteer from 'puppeteer-core'

const [url, writeKey, part, executablePath] = process.argv.slice(2)
const host = url.replace('http://', '')
const page = `
  import { AnalyticsBrowser } from '@segment/analytics-next'
  const analytics = AnalyticsBrowser.load(
    { writeKey: '${writeKey}', cdnURL: '${url}' },
    { integrations: { 'Segment.io': { apiHost: '${host}/v1', protocol: 'http', deliveryStrategy: { strategy: 'batching', config: { size: 7 } } } } })
  const run = async () => {
    await analytics.identify('segment-browser', { plan: 'pro', part: ${part} })
    for (let n = 0; n < 20; n += 1) {
      await analytics.track('order_completed', { dollar_value: n + 0.5, part: ${part} })
    }
    await analytics.page('Docs', 'Home')
  }
  run().then(() => { window.done = true }, (error) => { window.failed = String(error) })`
const directory = createRequire(import.meta.url).resolve('esbuild').split('/node_modules/')[0]
const bundle = await build({
  stdin: { contents: page, resolveDir: directory }, bundle: true, write: false, format: 'iife', define: { 'process.env.NODE_ENV': '"production"' },
})
const server = http.createServer((request, response) => {
  response.setHeader('content-type', request.url === '/' ? 'text/html' : 'text/javascript')
  response.end(request.url === '/' ? '<!doctype html><title>shop</title><script src="/page.js"></script>' : bundle.outputFiles[0].text)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const browser = await puppeteer.launch({ executablePath, headless: true, args: ['--no-sandbox', '--disable-gpu'] })
try {
  const tab = await browser.newPage()
  const answers = []
  tab.on('response', (response) => { if (response.request().method() === 'POST') answers.push(response.status()) })
  await tab.goto(`http://127.0.0.1:${server.address().port}/`)
  await tab.waitForFunction('window.done || window.failed', { timeout: 30000 })
  const failed = await tab.evaluate('window.failed')
  if (failed) throw new Error(failed)
  // What is still in a batch is sent when the page is left.
  await tab.goto('about:blank')
  await new Promise((resolve) => setTimeout(resolve, 1500))
  const bad = answers.filter((status) => status !== 200 && status !== 204)
  if (bad.length > 0 || answers.length === 0) throw new Error(`answers ${answers}`)
} finally {
  await browser.close()
  server.close()
}
