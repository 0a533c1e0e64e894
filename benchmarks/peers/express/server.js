// Express and BullMQ, doing the same work: API key, validation, queue, response.
const cluster = require('node:cluster');
const { createHash, randomUUID } = require('node:crypto');

const WORKERS = Number(process.env.PEER_WORKERS);

if (cluster.isPrimary) {
  for (let i = 0; i < WORKERS; i += 1) cluster.fork();
} else {
  const Ajv = require('ajv');
  const express = require('express');
  const { Queue } = require('bullmq');

  const projects = new Map([[process.env.PEER_KEY_DIGEST, 'proj_01M83ZAAT09981GBARPB87MAEB']]);
  const queue = new Queue('events', { connection: { path: process.env.PEER_SOCKET } });
  const isEvent = new Ajv({ allErrors: true }).compile({
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
  });

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');

  app.post(
    '/ingest/events',
    (request, response, next) => {
      const digest = createHash('sha256').update(request.get('X-Api-Key') ?? '').digest('hex');
      request.projectId = projects.get(digest);
      if (request.projectId === undefined) return response.status(401).json({ code: 'invalid_api_key' });
      return next();
    },
    express.json({ limit: '1mb' }),
    async (request, response) => {
      if (!isEvent(request.body)) {
        return response.status(400).json({ code: 'invalid_event', errors: isEvent.errors });
      }
      const job = await queue.add('event', {
        ...request.body,
        id: `evt_${randomUUID()}`,
        project_id: request.projectId,
        environment: 'production',
        kind: 'event',
        received_at: new Date().toISOString(),
        request_id: `req_${randomUUID()}`,
      });
      const jobId = `bull-${job.id}`;
      return response.status(202).location(`/ingest/jobs/${jobId}`).json({ jobId, status: 'queued' });
    },
  );
  app.get('/health/live', (_request, response) => response.json({ status: 'live' }));

  const [host, port] = process.env.PEER_BIND.split(':');
  app.listen(Number(port), host);
}
