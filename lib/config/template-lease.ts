import { LEASE_FILE } from '../domain/lease.ts';
import type { Problem } from './template-document.ts';
import type { TemplateContent } from './template-schema.ts';

/** What else a template says that does not go together with being handed out on lease. */
export function findLeaseProblems({ lease, isolation, requiredFiles, files }: TemplateContent): Problem[] {
  if (lease === null) return [];
  const problems: Problem[] = [];
  if (isolation === 'owner') {
    const message = 'must be template where there is a lease: warm bots have no owner yet';
    problems.push({ path: ['isolation'], message });
  }
  if (requiredFiles.length > 0) {
    const message = 'must be empty where there is a lease: nobody brings files for a warm bot';
    problems.push({ path: ['requiredFiles'], message });
  }
  for (const [index, { path }] of files.entries()) {
    if (path !== LEASE_FILE) continue;
    problems.push({
      path: ['files', index, 'path'],
      message: `must not be ${LEASE_FILE}, which tells a bot of its lease`,
    });
  }
  return problems;
}
