import type { Metrics } from '../metrics.ts';
import { type Route, route } from '../route.ts';

const TEXT = 'text/plain; version=0.0.4; charset=utf-8';

/** Numbers for Prometheus. */
export function metricsRoutes(metrics: Metrics): Route[] {
  return [
    route({
      method: 'GET',
      path: '/metrics',
      access: 'admin',
      summary: 'Prometheus metrics',
      reply: { status: 200, text: TEXT },
      handle: async () => ({ text: await metrics.text(), type: TEXT }),
    }),
  ];
}
