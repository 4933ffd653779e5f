import * as z from 'zod';
import type { UsageApi, UsageReport } from '../../services/usage-api.ts';
import { type Route, route } from '../route.ts';
import { anyOwner, isoDate } from '../schemas.ts';

const CSV = 'text/csv';
const CSV_TEXT = `${CSV}; charset=utf-8`;

const moment = z
  .union(
    [z.iso.datetime({ offset: true }), z.iso.date()],
    'must be an ISO 8601 time such as 2026-05-01T10:00:00Z, or a day',
  )
  .transform((text) => Date.parse(text));

const query = z.strictObject({
  from: moment
    .exactOptional()
    .meta({ description: 'Inclusive; a day before `to` when left out. A day is its midnight in UTC' }),
  to: moment.exactOptional().meta({ description: 'Exclusive; now when left out' }),
  owner: anyOwner.exactOptional().meta({ description: 'Only theirs' }),
  by: z.enum(['bot', 'owner']).default('bot').meta({ description: 'What a row stands for' }),
  format: z.enum(['json', 'csv']).exactOptional().meta({ description: 'Wins over the header Accept' }),
});

const amounts = {
  runningSeconds: z.number().meta({ description: 'In which its process was alive' }),
  pssByteSeconds: z.number().meta({ description: 'Bytes of memory (PSS) times the seconds it had them' }),
  cpuSeconds: z.number(),
};

const report = z
  .object({
    from: isoDate.meta({ description: 'Whole hours are counted, of times more than 35 days ago whole days' }),
    to: isoDate,
    by: z.enum(['bot', 'owner']),
    usage: z.array(
      z.object({
        owner: z.string(),
        instanceId: z.string().nullable().meta({ description: 'Null in rows of owners' }),
        ...amounts,
      }),
    ),
    total: z.object(amounts),
  })
  .meta({ id: 'Usage' });

/** `/api/usage`: what bots used, deleted ones too. */
export function usageRoutes(api: UsageApi): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/usage',
      access: 'any',
      summary: 'What bots used, an owner sees their own',
      query,
      reply: { status: 200, json: report, text: CSV_TEXT },
      errors: ['FORBIDDEN', 'STORE_UNAVAILABLE'],
      handle: async ({ actor, query: { format, ...asked }, accepts }) => {
        const found = await api.usage(actor, asked);
        const csv = format === undefined ? accepts(['application/json', CSV]) === CSV : format === 'csv';
        return csv ? { text: csvOf(found), type: CSV_TEXT } : { json: found };
      },
    }),
  ];
}

/** Ids and numbers need no quoting. */
function csvOf({ by, usage }: UsageReport): string {
  const head = ['owner', ...(by === 'bot' ? ['instanceId'] : []), 'runningSeconds', 'pssByteSeconds', 'cpuSeconds'];
  const rows = usage.map((row) => [
    row.owner,
    ...(row.instanceId === null ? [] : [row.instanceId]),
    row.runningSeconds,
    row.pssByteSeconds,
    row.cpuSeconds,
  ]);
  return [head, ...rows].map((cells) => `${cells.join(',')}\n`).join('');
}
