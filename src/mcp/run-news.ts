/**
 * Which runs have changed, told as addresses of resources (design §5): for `resources/subscribe` and `subscriptions/listen`. Invariants:
 * 1. Nothing is watched before somebody asked, and nothing after they have gone.
 * 2. Nobody hears of a run that he does not see: what a listener asks for is judged when he begins, as a subscription is.
 * 3. A change of another process does not say whose run it is: the newest runs are compared then, at most four times a second.
 */
import {
  InMemoryServerEventBus,
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type ServerEventBus,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { McpApp } from './app-port.ts';

const strangerMs = 250;
const compared = 100;

export type RunNews = { stop(): void };

/** Calls `tell` with the addresses that read differently now, until stopped. */
export async function followRuns(app: McpApp, tell: (uri: string) => void): Promise<RunNews> {
  const versions = new Map<string, string>();
  const compare = async (first: boolean): Promise<void> => {
    for (const { runId, version, status } of await app.engine.list({ limit: compared })) {
      const now = `${version} ${status}`;
      if (!first && versions.get(runId) !== now) for (const uri of addressesOf(runId)) tell(uri);
      versions.set(runId, now);
    }
  };
  await compare(true);
  let timer: NodeJS.Timeout | undefined;
  const soon = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      void compare(false).catch(() => undefined); // a store that is closing has no news
    }, strangerMs).unref();
  };
  const stop = app.onChange(soon);
  return {
    stop() {
      clearTimeout(timer);
      stop();
    },
  };
}

export function addressesOf(runId: string): string[] {
  const run = `capstan://runs/${runId}`;
  return [run, `${run}/timeline`, `${run}/diagram`, `${run}/diagram.svg`];
}

/** The way of the 2025 revisions: subscribe, unsubscribe, and a notification for each change. */
export function registerSubscriptions(server: McpServer, app: () => Promise<McpApp>): void {
  const wanted = new Set<string>();
  let news: Promise<RunNews> | undefined;
  const tell = (uri: string) => {
    if (wanted.has(uri)) void server.server.sendResourceUpdated({ uri }).catch(() => undefined); // the client has gone
  };
  const stop = () => {
    void news?.then((each) => each.stop());
    news = undefined;
  };
  server.server.setRequestHandler('resources/subscribe', async ({ params: { uri } }) => {
    const id = /^capstan:\/\/runs\/([^/]+)(\/timeline|\/diagram(\.svg)?)?$/.exec(uri)?.[1];
    if (id === undefined)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'Only capstan://runs/{id} and what lies under it changes.');
    const house = await app();
    const { runId } = await house.engine.inspect(decodeURIComponent(id)); // a run that is not there, or not theirs, is refused
    wanted.add(uri.replace(id, runId));
    news ??= followRuns(house, tell);
    await news;
    return {};
  });
  server.server.setRequestHandler('resources/unsubscribe', async ({ params: { uri } }) => {
    wanted.delete(uri);
    if (wanted.size === 0) stop();
    return {};
  });
  const closed = server.server.onclose;
  server.server.onclose = () => {
    stop();
    closed?.();
  };
}

/** The way of 2026-07-28 over HTTP: whoever listens hears which addresses changed; with nobody listening nothing is watched. */
export function newsBus(app: () => Promise<McpApp>): ServerEventBus {
  const bus = new InMemoryServerEventBus();
  let listening = 0;
  let news: Promise<RunNews> | undefined;
  const follow = async () => followRuns(await app(), (uri) => bus.publish({ kind: 'resource_updated', uri }));
  return {
    publish: (event) => bus.publish(event),
    subscribe(listener) {
      listening += 1;
      news ??= follow();
      const off = bus.subscribe(listener);
      let gone = false;
      return () => {
        if (gone) return;
        gone = true;
        off();
        listening -= 1;
        if (listening > 0) return;
        void news?.then(
          (each) => each.stop(),
          () => undefined, // it never began
        );
        news = undefined;
      };
    },
  };
}

/** The way of 2026-07-28 over stdio: the SDK keeps who listens to what, and passes on what one of them asked for. */
export function listensIn(message: unknown): boolean {
  return listenRequest.safeParse(message).success;
}

/** The same request without the addresses of runs that this house does not show; a client is told which of its wishes were taken. */
export async function onlyVisible(message: unknown, app: () => Promise<McpApp>): Promise<unknown> {
  const listens = listenRequest.safeParse(message);
  if (!listens.success) return message;
  const { params } = listens.data;
  const house = await app();
  const visible: string[] = [];
  for (const uri of params.notifications.resourceSubscriptions) {
    const run = runAddress.exec(uri)?.[1];
    if (run === undefined || (await shows(house, run))) visible.push(uri);
  }
  return { ...listens.data, params: { ...params, notifications: { ...params.notifications, resourceSubscriptions: visible } } };
}

async function shows(app: McpApp, run: string): Promise<boolean> {
  try {
    await app.engine.inspect(decodeURIComponent(run));
    return true;
  } catch {
    return false; // not there, not theirs, or not a name at all: the same to whoever asks
  }
}

const runAddress = /^capstan:\/\/runs\/([^/]+)/;
const listenRequest = z.looseObject({
  method: z.literal('subscriptions/listen'),
  params: z.looseObject({ notifications: z.looseObject({ resourceSubscriptions: z.array(z.string()).min(1) }) }),
});
