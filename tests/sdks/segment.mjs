// Sends events with Segment's SDK for Node: segment.mjs URL WRITE_KEY PART
import { Analytics } from '@segment/analytics-node'

const [url, writeKey, part] = process.argv.slice(2)
const analytics = new Analytics({ writeKey, host: url, path: '/v1/batch', flushAt: 7 })
analytics.on('error', (error) => { console.error(error); process.exitCode = 1 })
const userId = 'segment-node'
analytics.identify({ userId, traits: { plan: 'pro', part: Number(part) } })
for (let n = 0; n < 20; n += 1) {
  analytics.track({ userId, event: 'order_completed', properties: { dollar_value: n + 0.5, part: Number(part) } })
}
analytics.page({ userId, name: 'Home', category: 'Docs' })
await analytics.closeAndFlush()
