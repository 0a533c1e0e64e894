// Let Sentry's SDKs for JavaScript keep what was not stored, with their offline transport.
// npm install @sentry/node @sentry/core
import { makeOfflineTransport } from "@sentry/core";
import * as Sentry from "@sentry/node";

// The offline transport keeps what could not be sent. An answer of 502, 503 or 504 counts as sent without this.
function makeStrictTransport(options) {
  const transport = Sentry.makeNodeTransport(options);
  return {
    ...transport,
    async send(envelope) {
      const answer = await transport.send(envelope);
      if ([502, 503, 504].includes(answer.statusCode)) throw new Error(`not stored: ${answer.statusCode}`);
      return answer;
    },
  };
}

// In memory, the newest 100. In a browser, makeBrowserOfflineTransport keeps them in IndexedDB.
function createStore() {
  const envelopes = [];
  return {
    push: async (envelope) => void envelopes.splice(0, envelopes.push(envelope) - 100),
    unshift: async (envelope) => void envelopes.unshift(envelope),
    shift: async () => envelopes.shift(),
  };
}

Sentry.init({
  dsn: process.env.SENTRY_DSN,
  transport: makeOfflineTransport(makeStrictTransport),
  transportOptions: { createStore },
});

try {
  checkout();
} catch (error) {
  Sentry.captureException(error);
}
// Only for this program, which would end before the first retry; a server goes on.
setTimeout(() => {}, 30_000);
