import { expect } from 'vitest';
import type * as z from 'zod';
import type { App } from './app.ts';

/** The reply must be what the route's schema says: no field missing, none beside. */
export function expectSchema(app: App, method: string, path: string, json: unknown): void {
  const route = app.http.routes.find((found) => found.method === method && found.path === path);
  const schema = route?.reply.json as z.ZodObject;
  expect(schema.parse(json)).toEqual(json);
}
