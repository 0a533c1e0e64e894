// What an application reports through any SDK for JavaScript: errors of many forms, and items of other types.
class CheckoutFailed extends Error {
  name = "CheckoutFailed";
}

const LEVELS = ["fatal", "error", "warning", "info", "debug", "log"];

function pay(number) {
  const cart = number % 2 ? undefined : null;
  return cart.items[number];
}

function caused(number) {
  try {
    return pay(number);
  } catch (cause) {
    throw new CheckoutFailed(`order ${number} was not paid`, { cause });
  }
}

const SCENARIOS = [
  (sentry, number) => sentry.captureException(error(() => pay(number))),
  (sentry, number) => sentry.captureException(error(() => caused(number))),
  (sentry, number) => sentry.captureMessage(`order ${number} is late`, LEVELS[number % LEVELS.length]),
  (sentry, number) =>
    sentry.captureException(new AggregateError([new RangeError("first"), new TypeError("second")], `of ${number}`)),
  (sentry, number) => sentry.captureException([`text ${number}`, number, { code: number }, null, undefined][number % 5]),
  (sentry, number) => sentry.captureMessage(["Größe 😀 \u2028", "half \ud83d", "x".repeat(9000), "", "\0\t\n\"\\"][number % 5]),
  (sentry, number) => sentry.captureEvent({ message: `event ${number}`, tags: { a: number, b: null, c: true }, extra: { deep: [[[{}]]] } }),
  (sentry, number) => sentry.captureEvent({ logentry: { message: "%s of %s", params: [number, 9], formatted: `${number} of 9` } }),
  (sentry, number) => sentry.startSpan?.({ name: `GET /orders/${number}`, op: "http.server" }, () => sentry.captureException(new Error(`in a span ${number}`))),
  (sentry, number) => sentry.captureCheckIn?.({ monitorSlug: "nightly", status: number % 2 ? "ok" : "error" }),
  (sentry, number) => sentry.captureFeedback?.({ message: `It fails ${number}`, email: "a@shop.example" }),
  (sentry, number) => sentry.logger?.warn(`log ${number}`, { number }),
  (sentry, number) => sentry.metrics?.count?.("orders", number),
];

function error(work) {
  try {
    return work();
  } catch (caught) {
    return caught;
  }
}

function describe(scope, number) {
  if (number % 3) scope.setUser({ id: number % 2 ? `usr_${number}` : number, email: "a@shop.example" });
  if (number % 4) scope.setTags({ order_id: `ord_${number}`, region: "eu", long: "y".repeat(number % 8 ? 10 : 2000) });
  if (number % 5 === 0) scope.setContext("cart", { items: number, nested: { list: [1, "two", null] } });
  if (number % 6 === 0) scope.setFingerprint(["{{ default }}", `group ${number % 4}`]);
  if (number % 7 === 0) scope.addBreadcrumb({ category: "auth", message: `signed in ${number}`, level: "info" });
  if (number % 8 === 0) scope.setTransactionName?.(`POST /checkout/${number}`);
  if (number % 9 === 0) scope.addAttachment?.({ filename: "cart.txt", data: `line\nline ${number}\n` });
  if (number % 10 === 0) scope.setLevel(LEVELS[number % LEVELS.length]);
}

export const OPTIONS = { tracesSampleRate: 1, enableLogs: true, sendClientReports: true };

export async function report(sentry, count) {
  for (let number = 0; number < count; number++) {
    sentry.withScope((scope) => {
      describe(scope, number);
      SCENARIOS[number % SCENARIOS.length](sentry, number);
    });
    if (number % 10 === 9) await sentry.flush(3000);
  }
  await sentry.flush(3000);
}
