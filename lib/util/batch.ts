/**
 * Collects what is asked for in one turn and has it done in one go: `work` gets all items and answers for each, in their
 * order, with its result or the error that is its own. When `work` throws, all of them fail.
 */
export function batched<I, O>(work: (items: readonly I[]) => Promise<readonly (O | Error)[]>): (item: I) => Promise<O> {
  let open: { readonly items: I[]; readonly answers: Promise<readonly (O | Error)[]> } | null = null;

  const begin = (): { readonly items: I[]; readonly answers: Promise<readonly (O | Error)[]> } => {
    const items: I[] = [];
    const answers = Promise.resolve().then(() => {
      open = null;
      return work(items);
    });
    return { items, answers };
  };

  return async (item) => {
    open ??= begin();
    const { items, answers } = open;
    const at = items.push(item) - 1;
    const answer = (await answers)[at];
    if (answer instanceof Error) throw answer;
    return answer as O;
  };
}
