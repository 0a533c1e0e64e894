// Fastify and ioredis with automatic pipelining, doing the same work: API key, validation, append, response.
const cluster = require('node:cluster');
const { createHash, randomUUID } = require('node:crypto');

const WORKERS = Number(process.env.PEER_WORKERS);

if (cluster.isPrimary) {
  for (let i = 0; i < WORKERS; i += 1) cluster.fork();
} else {
  const Redis = require('ioredis');
  const app = require('fastify')({ bodyLimit: 2 ** 20, ajv: { customOptions: { removeAdditional: false, coerceTypes: false } } });

  const projects = new Map([[process.env.PEER_KEY_DIGEST, 'proj_01M83ZAAT09981GBARPB87MAEB']]);
  const redis = new Redis(process.env.PEER_SOCKET, { enableAutoPipelining: true });
  const body = {
    type: 'object',
    additionalProperties: false,
    required: ['type', 'severity', 'message'],
    properties: {
      type: { type: 'string', minLength: 1 },
      severity: { enum: ['INFO', 'WARN', 'ERROR', 'CRITICAL'] },
      message: { type: 'string', minLength: 1 },
      source: { type: 'string' },
      correlation: { type: 'object' },
      payload: { type: 'object' },
    },
  };
  const accepted = {
    202: { type: 'object', properties: { jobId: { type: 'string' }, status: { type: 'string' } } },
  };

  app.post('/ingest/events', {
    schema: { body, response: accepted },
    onRequest: async (request, reply) => {
      const digest = createHash('sha256').update(request.headers['x-api-key'] ?? '').digest('hex');
      request.projectId = projects.get(digest);
      if (request.projectId === undefined) return reply.code(401).send({ code: 'invalid_api_key' });
      return undefined;
    },
  }, async (request, reply) => {
    const event = request.body;
    const entry = [
      'v', '1', 'id', `evt_${randomUUID()}`, 'project_id', request.projectId, 'environment', 'production',
      'kind', 'event', 'type', event.type, 'severity', event.severity, 'message', event.message,
      'received_at', new Date().toISOString(), 'request_id', `req_${randomUUID()}`,
    ];
    if (event.source !== undefined) entry.push('source', event.source);
    if (event.correlation !== undefined) entry.push('correlation', JSON.stringify(event.correlation));
    if (event.payload !== undefined) entry.push('payload', JSON.stringify(event.payload));
    const jobId = `bull-${(await redis.xadd('events', '*', ...entry)).replace('-', '')}`;
    reply.code(202).header('Location', `/ingest/jobs/${jobId}`);
    return { jobId, status: 'queued' };
  });
  app.get('/health/live', async () => ({ status: 'live' }));

  const [host, port] = process.env.PEER_BIND.split(':');
  app.listen({ host, port: Number(port) });
}
