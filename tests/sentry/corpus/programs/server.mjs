// Report through an SDK for a runtime: node, bun, deno, cloudflare or vercel-edge; all run in Node here.
import { OPTIONS, report } from "./scenarios.mjs";

const [runtime, count] = process.argv.slice(2);
// What the SDKs read of their runtimes.
if (runtime === "deno") {
  globalThis.Deno = {
    version: { deno: "2.5.0", v8: "14.0", typescript: "5.9.2" },
    build: { os: "linux", arch: "x86_64", target: "x86_64-unknown-linux-gnu" },
    env: { get: (name) => process.env[name], toObject: () => ({}) },
    permissions: { query: async () => ({ state: "granted" }), querySync: () => ({ state: "granted" }) },
    cwd: () => "/app", args: [], mainModule: "file:///app/main.ts", hostname: () => "web-1", osRelease: () => "6.1",
    addSignalListener() {}, serve() {}, cron() {}, memoryUsage: () => ({}), systemMemoryInfo: () => ({}),
    noColor: true, inspect: String, pid: 1, ppid: 0, loadavg: () => [0, 0, 0], execPath: () => "/bin/deno",
  };
}
globalThis.addEventListener ??= () => {};
globalThis.navigator ??= { hardwareConcurrency: 2 };
if (runtime === "bun") globalThis.Bun = { version: "1.3.0", serve() {} };
const Sentry = await import(`@sentry/${runtime}`);
const options = { ...OPTIONS, dsn: process.env.SENTRY_DSN, release: "shop@1.4.2", environment: "live" };
if (runtime === "cloudflare") {
  const handler = Sentry.withSentry(() => options, {
    async fetch() {
      await report(Sentry, Number(count));
      throw new Error("of a worker");
    },
  });
  const waiting = [];
  const context = { waitUntil: (promise) => waiting.push(promise), passThroughOnException() {} };
  await handler.fetch(new Request("https://shop.example/checkout"), {}, context).catch(() => {});
  await Promise.allSettled(waiting);
} else {
  Sentry.init(options);
  await report(Sentry, Number(count));
}
setTimeout(() => process.exit(0), 500);
