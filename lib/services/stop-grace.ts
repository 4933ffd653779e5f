import type { Template } from '../domain/template.ts';

const LEAST_SECONDS = 60;
const SLACK_SECONDS = 10;

/** Seconds that a container is given to end in good order: all its bots at once, and then its services. */
export function stopGrace(templates: ReadonlyMap<string, Template>): number {
  const needed = [...templates.values()].map(({ stop, services }) => {
    const after = Object.values(services).map((service) => service.stop.graceSeconds);
    return stop.graceSeconds + Math.max(0, ...after) + SLACK_SECONDS;
  });
  return Math.max(LEAST_SECONDS, ...needed);
}
