import { MODULE_NAME } from '../../config/preload-list.ts';

/**
 * What a Python program has imported, from what Python writes about it under PYTHONVERBOSE=1: one line for each module
 * that could be imported, whoever asked for it, once it is complete. PYTHONPROFILEIMPORTTIME is no match: it tells of
 * imports that failed as well, and of none that importlib or compiled code made.
 */
export interface Imports {
  /** Of the interpreter; null where it does not say. */
  readonly python: string | null;
  /** What a zygote can share, in the order in which the modules were complete. */
  readonly modules: readonly string[];
  /** What the interpreter itself imports before any program, so a zygote has it anyway. */
  readonly startup: ReadonlySet<string>;
}

/** Set for a bot whose imports are to be recorded. */
export const RECORDING_ENV = { PYTHONVERBOSE: '1' } as const;

/** `bot`: its own modules, from files in its directory, are left out. Null when the log does not hold a start of Python. */
export function parseImports(log: string, bot: string): Imports | null {
  const events = [...log.matchAll(EVENT)].map((match) => match.groups as Event);
  const begun = events.findIndex(({ begin }) => begin !== undefined);
  if (begun < 0) return null;
  const ready = events.findIndex(({ name, banner }, at) => at > begun && (name === 'site' || banner !== undefined));
  const startup = new Set(namesOf(events.slice(begun, ready + 1)));
  const own = ownModules(log, bot);
  const modules = new Set(namesOf(events.slice(ready + 1)));
  return {
    python: events.find(({ banner }) => banner !== undefined)?.banner ?? null,
    modules: [...modules].filter((name) => !startup.has(name) && !NEVER.includes(name) && !own(name)),
    startup,
  };
}

// Private

interface Event {
  /** An interpreter starts: the bot's own first, later perhaps one that it starts, which imports among the bot's own lines. */
  readonly begin?: string;
  readonly name?: string;
  /** Version, said once the interpreter is ready. */
  readonly banner?: string;
}

/** Not bound to the beginning of a line: threads may write into each other's, and programs may leave one unfinished. */
const EVENT =
  /(?<begin>import _frozen_importlib # frozen)|import '(?<name>[^'\n]+)' # |^Python (?<banner>3\.\d+\.\d+\S*) .*\] on /gm;
const NEVER = ['__main__', '__mp_main__'];

const namesOf = (events: readonly Event[]): string[] =>
  events.flatMap(({ name }) => (name !== undefined && MODULE_NAME.test(name) ? [name] : []));

/** Whether a module of that name came from the bot's directory: code executed there, or a folder without __init__.py. */
function ownModules(log: string, bot: string): (name: string) => boolean {
  const found = log.matchAll(/(code object from|possible namespace for) '?[^'\n]*\/bots\/([^/\n]+)\/([^'\n]+)/g);
  const places = { code: new Set<string>(), namespace: new Set<string>() };
  for (const [, kind, of, path = ''] of found) {
    if (of === bot) places[kind === 'code object from' ? 'code' : 'namespace'].add(dotted(path));
  }
  const namespaces = new Set(
    Array.from(log.matchAll(/import '([^'\n]+)' # <[\w.]*NamespaceLoader/g), ([, name]) => name),
  );
  return (name) => endsWithAny(name, places.code) || (namespaces.has(name) && endsWithAny(name, places.namespace));
}

/** `a/__pycache__/b.cpython-311.pyc`, `a/b.py` and `a/b/__init__.py` are `a.b`. */
const dotted = (path: string): string =>
  path
    .replace(/__pycache__\/([^/.]+)[^/]*$/, '$1')
    .replace(/\.py$/, '')
    .replace(/\/__init__$/, '')
    .replaceAll('/', '.');

/** The path of import may begin at any folder in the directory. */
const endsWithAny = (name: string, places: ReadonlySet<string>): boolean =>
  [...places].some((place) => place === name || place.endsWith(`.${name}`));
