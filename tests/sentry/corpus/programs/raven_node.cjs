// Report through the old client for Node.
const Raven = require("raven");

const client = new Raven.Client(process.env.SENTRY_DSN, { release: "shop@1.4.2", tags: { region: "eu" } });
const count = Number(process.argv[2]);
let left = count;
const done = () => --left || process.exit(0);
for (let number = 0; number < count; number++) {
  const options = { level: ["fatal", "error", "warning"][number % 3], user: { id: number }, extra: { number } };
  if (number % 2) client.captureException(new TypeError(`order ${number}`), options, done);
  else client.captureMessage(`late ${number}`, options, done);
}
