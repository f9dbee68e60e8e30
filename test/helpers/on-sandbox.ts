/** The hooks of a file that works on one sandbox. What they return is there inside tests and hooks only. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { Sandbox, SandboxOptions } from '../../src/sandbox/start.ts';
import { openSandbox } from '../sandbox/client.ts';

type Closing = { close(): Promise<unknown> };
type Opening<Stage> = (sandbox: Sandbox) => Promise<Stage>;
type Options = Partial<SandboxOptions>;
export type On<Stage> = { readonly sandbox: Sandbox; readonly stage: Stage };

/** One sandbox for the file, without its faults again before each test, and a stage of its own for each. */
export function onSandbox<Stage extends Closing>(open: Opening<Stage>, options: Options = {}): On<Stage> {
  const held = holdSandbox(options);
  let stage: Stage | undefined;
  beforeEach(async () => {
    held().setFaults([]);
    stage = await open(held());
  });
  afterEach(() => stage?.close());
  return reading(held, () => stage);
}

/** One sandbox and one stage for all tests of the file. */
export function onOneStage<Stage extends Closing>(open: Opening<Stage>, options: Options = {}): On<Stage> {
  const held = holdSandbox(options);
  let stage: Stage | undefined;
  beforeAll(async () => {
    stage = await open(held());
  }, 180_000);
  afterAll(() => stage?.close(), 60_000);
  return reading(held, () => stage);
}

function holdSandbox(options: Options): () => Sandbox {
  let opened: Awaited<ReturnType<typeof openSandbox>> | undefined;
  beforeAll(async () => {
    opened = await openSandbox(options);
  }, 180_000);
  afterAll(() => opened?.close(), 60_000);
  return () => there(opened).sandbox;
}

function reading<Stage>(sandbox: () => Sandbox, stage: () => Stage | undefined): On<Stage> {
  return {
    get sandbox() {
      return sandbox();
    },
    get stage() {
      return there(stage());
    },
  };
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('read before it was opened');
  return value;
}
