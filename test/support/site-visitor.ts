/** A WordPress site as a visitor with a browser has it: cookies, forms, and the REST interface of its editor. */

export interface Page {
  readonly status: number;
  readonly location: string | null;
  readonly type: string;
  readonly text: string;
}

export interface VisitOptions {
  /** Fields of a form to post. */
  readonly form?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

export interface SiteVisitor {
  /** As it came; redirects are not followed. `path` begins with a slash, or is a whole address of the site. */
  visit(path: string, options?: VisitOptions): Promise<Page>;
  /** Whether the form lets this user in. */
  logIn(user: string, password: string): Promise<boolean>;
  /** Whether the cookies that were got so far let in. */
  isLoggedIn(): Promise<boolean>;
  /** Asks the REST interface as the user who is logged in. Throws when it refuses. */
  rest<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Puts a file into the media library; its address. */
  upload(name: string, type: string, data: Uint8Array<ArrayBuffer>): Promise<string>;
}

const TIMEOUT_MS = 60_000;

/** `base` is the address of the site's root, with a slash at its end. `headers` go with every request. */
export function siteVisitor(base: string, headers: Readonly<Record<string, string>>): SiteVisitor {
  const cookies = new Map<string, string>();
  const root = base.replace(/\/$/, '');

  async function visit(path: string, options: VisitOptions = {}): Promise<Page> {
    const { form, method = form === undefined ? 'GET' : 'POST' } = options;
    const body = form === undefined ? options.body : new URLSearchParams(form);
    const response = await fetch(path.startsWith('/') ? root + path : path, {
      method,
      redirect: 'manual',
      headers: { ...headers, Cookie: cookiesOf(cookies), ...options.headers },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body }),
    });
    for (const cookie of response.headers.getSetCookie()) keep(cookies, cookie);
    return {
      status: response.status,
      location: response.headers.get('location'),
      type: response.headers.get('content-type') ?? '',
      text: await response.text(),
    };
  }

  async function restOf(method: string, path: string, options: VisitOptions): Promise<Page> {
    const nonce = (await visit('/wp-admin/admin-ajax.php?action=rest-nonce')).text;
    const page = await visit(`/wp-json/wp/v2${path}`, {
      ...options,
      method,
      headers: { 'X-WP-Nonce': nonce, ...options.headers },
    });
    if (page.status > 299) throw new Error(`${method} ${path} → ${page.status} ${page.text.slice(0, 500)}`);
    return page;
  }

  const isLoggedIn = async (): Promise<boolean> => (await visit('/wp-admin/profile.php')).status === 200;

  return {
    visit,
    isLoggedIn,
    async logIn(user, password) {
      await visit('/wp-login.php');
      const form = { log: user, pwd: password, 'wp-submit': 'Log In', testcookie: '1' };
      const { status } = await visit('/wp-login.php', { form });
      return status === 302 && (await isLoggedIn());
    },
    async rest(method, path, body) {
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const page = await restOf(method, path, { headers: { 'Content-Type': 'application/json' }, ...sent });
      return JSON.parse(page.text);
    },
    async upload(name, type, data) {
      const sent = { 'Content-Type': type, 'Content-Disposition': `attachment; filename="${name}"` };
      const page = await restOf('POST', '/media', { headers: sent, body: data });
      return (JSON.parse(page.text) as { source_url: string }).source_url;
    },
  };
}

// Private

function cookiesOf(cookies: ReadonlyMap<string, string>): string {
  return [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
}

function keep(cookies: Map<string, string>, header: string): void {
  const [, name = '', value = ''] = /^([^=;]+)=([^;]*)/.exec(header) ?? [];
  if (/;\s*expires=Thu, 01.Jan.1970/i.test(header) || value === '') cookies.delete(name);
  else cookies.set(name, value);
}
