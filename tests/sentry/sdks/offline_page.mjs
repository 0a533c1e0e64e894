// Report an error of a web page, and keep it in IndexedDB until it is stored.
import * as Sentry from "@sentry/browser";

function makeStrictTransport(options) {
  const transport = Sentry.makeFetchTransport(options);
  return {
    ...transport,
    async send(envelope) {
      const answer = await transport.send(envelope);
      if ([502, 503, 504].includes(answer.statusCode)) throw new Error(`not stored: ${answer.statusCode}`);
      return answer;
    },
  };
}

window.start = (dsn) => {
  Sentry.init({ dsn, transport: Sentry.makeBrowserOfflineTransport(makeStrictTransport) });
  Sentry.captureException(new RangeError("no cart"));
};
