import * as z from 'zod';
import { type Route, route } from '../route.ts';

/** This API's own description. */
export function openapiRoutes(document: () => object): Route[] {
  return [
    route({
      method: 'GET',
      path: '/openapi',
      access: 'public',
      summary: 'This document',
      reply: { status: 200, json: z.looseObject({}).meta({ description: 'OpenAPI 3.1 document' }) },
      handle: () => ({ json: { ...document() } }),
    }),
  ];
}
