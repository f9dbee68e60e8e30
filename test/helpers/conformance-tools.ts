/** The tools that the official conformance suite calls, through our own tool layer. Names, texts and schemas are the suite's. */
import { setTimeout as wait } from 'node:timers/promises';
import { type ContentBlock, type InputRequests, inputRequired, inputResponse } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { AppError } from '../../src/errors.ts';
import { defineWireTool, type Wire, type WireTool } from '../../src/mcp/wire-tool.ts';

const annotations = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };
const nothing = z.strictObject({});
/** One red pixel, and a WAV file without a sample. */
export const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const wav = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=';

const text = (value: string): ContentBlock => ({ type: 'text', text: value });
const image: ContentBlock = { type: 'image', data: png, mimeType: 'image/png' };

function tool(name: string, description: string, answer: (wire: Wire) => ReturnType<WireTool['answer']>): WireTool {
  return defineWireTool({ name, description, input: nothing, annotations }, (_args, wire) => answer(wire));
}

const contents = [
  tool('test_simple_text', 'Answers a text', async () => [text('This is a simple text response for testing.')]),
  tool('test_image_content', 'Answers an image', async () => [image]),
  tool('test_audio_content', 'Answers a sound', async () => [{ type: 'audio', data: wav, mimeType: 'audio/wav' }]),
  tool('test_embedded_resource', 'Answers a resource', async () => [
    {
      type: 'resource',
      resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'This is an embedded resource content.' },
    },
  ]),
  tool('test_multiple_content_types', 'Answers several kinds of content', async () => [
    text('Multiple content types test:'),
    image,
    {
      type: 'resource',
      resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data","value":123}' },
    },
  ]),
  tool('test_error_handling', 'Always fails', async () => {
    throw new AppError('TEST_ERROR', { message: 'This tool intentionally returns an error for testing' });
  }),
];

const live = [
  tool('test_tool_with_logging', 'Logs while it works', async (wire) => {
    await wire.log('info', 'Tool execution started');
    await wait(50);
    await wire.log('info', 'Tool processing data');
    await wait(50);
    await wire.log('info', 'Tool execution completed');
    return [text('Tool with logging executed.')];
  }),
  tool('test_logging_tool', 'Logs once', async (wire) => {
    await wire.log('info', 'Only for who asked for it');
    return [text('Logged.')];
  }),
  tool('test_tool_with_progress', 'Tells how far it is', async (wire) => {
    for (const progress of [0, 50, 100]) {
      await wire.progress(progress, 100);
      if (progress < 100) await wait(50);
    }
    return [text('Tool with progress executed.')];
  }),
];

function requireCapability(wire: Wire, name: string): void {
  if (wire.capabilities[name] !== undefined) return;
  throw new AppError('CAPABILITY_MISSING', { message: `The client does not support ${name}.`, fix: 'Use a client that does.' });
}

async function elicited(wire: Wire, message: string, requestedSchema: object): Promise<{ action: string; content?: unknown }> {
  requireCapability(wire, 'elicitation');
  const params = { mode: 'form', message, requestedSchema };
  return z.looseObject({ action: z.string(), content: z.unknown() }).parse(await wire.send('elicitation/create', params));
}

const named = (properties: object, required: string[]) => ({ type: 'object', properties, required });
const completed = ({ action, content }: { action: string; content?: unknown }) => [
  text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`),
];
const titled = (...titles: string[]) => titles.map((title, index) => ({ const: `value${index + 1}`, title }));

/** 2025: the client is asked while the call is held open. */
const pushed = [
  defineWireTool(
    { name: 'test_sampling', description: 'Asks the model of the client', input: z.strictObject({ prompt: z.string() }), annotations },
    async ({ prompt }, wire) => {
      requireCapability(wire, 'sampling');
      const messages = [{ role: 'user', content: { type: 'text', text: prompt } }];
      const { content } = z
        .looseObject({ content: z.unknown() })
        .parse(await wire.send('sampling/createMessage', { messages, maxTokens: 100 }));
      return [text(`LLM response: ${z.looseObject({ text: z.string() }).parse(content).text}`)];
    },
  ),
  defineWireTool(
    { name: 'test_elicitation', description: 'Asks the user', input: z.strictObject({ message: z.string() }), annotations },
    async ({ message }, wire) => {
      const properties = {
        username: { type: 'string', description: "User's response" },
        email: { type: 'string', description: "User's email address" },
      };
      const { action, content } = await elicited(wire, message, named(properties, ['username', 'email']));
      return [text(`User response: action: ${action}, content: ${JSON.stringify(content ?? {})}`)];
    },
  ),
  tool('test_elicitation_sep1034_defaults', 'Asks with defaults', async (wire) => {
    const properties = {
      name: { type: 'string', default: 'John Doe' },
      age: { type: 'integer', default: 30 },
      score: { type: 'number', default: 95.5 },
      status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
      verified: { type: 'boolean', default: true },
    };
    return completed(await elicited(wire, 'Please review', named(properties, [])));
  }),
  tool('test_elicitation_sep1330_enums', 'Asks with every kind of choice', async (wire) => {
    const three = ['option1', 'option2', 'option3'];
    const properties = {
      untitledSingle: { type: 'string', enum: three },
      titledSingle: { type: 'string', oneOf: titled('First Option', 'Second Option', 'Third Option') },
      legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
      untitledMulti: { type: 'array', items: { type: 'string', enum: three } },
      titledMulti: { type: 'array', items: { anyOf: titled('First Choice', 'Second Choice', 'Third Choice') } },
    };
    return completed(await elicited(wire, 'Please choose', named(properties, [])));
  }),
];

const ask = {
  name: inputRequired.elicit({
    message: 'What is your name?',
    requestedSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
  }),
  confirm: inputRequired.elicit({
    message: 'Please confirm',
    requestedSchema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
  }),
  model: (prompt: string, maxTokens: number) =>
    inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens }),
  roots: inputRequired.listRoots(),
};

const formShape = z.looseObject({ action: z.literal('accept'), content: z.record(z.string(), z.unknown()) });

/** A field of an accepted form; undefined for a missing, declined or misshapen one. */
function field(wire: Wire, key: string, name: string): unknown {
  const form = formShape.safeParse(wire.answers[key]);
  return form.success ? form.data.content[name] : undefined;
}

/** 2026-07-28: the questions are the answer, and the client comes back with its own. */
const rounds = [
  tool('test_input_required_result_elicitation', 'Asks for a name', async (wire) => {
    const name = field(wire, 'user_name', 'name');
    return typeof name === 'string' ? [text(`Hello, ${name}!`)] : wire.ask({ user_name: ask.name });
  }),
  tool('test_input_required_result_sampling', 'Asks for a capital', async (wire) => {
    const answer = inputResponse(wire.answers, 'capital_question');
    if (answer.kind !== 'sampling') return wire.ask({ capital_question: ask.model('What is the capital of France?', 100) });
    return [text(`The model says: ${JSON.stringify(answer.result.content)}`)];
  }),
  tool('test_input_required_result_list_roots', 'Asks for the roots', async (wire) => {
    const answer = inputResponse(wire.answers, 'client_roots');
    if (answer.kind !== 'roots') return wire.ask({ client_roots: ask.roots });
    return [text(`Roots: ${answer.roots.map((root) => root.uri).join(', ')}`)];
  }),
  tool('test_input_required_result_request_state', 'Asks and checks what comes back', async (wire) => {
    if (wire.state === undefined || field(wire, 'confirm', 'ok') === undefined)
      return wire.ask({ confirm: ask.confirm }, { asked: 'once' });
    return [text('state-ok')];
  }),
  tool('test_input_required_result_multiple_inputs', 'Asks three things at once', async (wire) => {
    const name = field(wire, 'user_name', 'name');
    const whole = wire.state !== undefined && 'greeting' in wire.answers && 'client_roots' in wire.answers;
    if (whole && typeof name === 'string') return [text(`Hello, ${name}: all answers are here.`)];
    return wire.ask({ user_name: ask.name, greeting: ask.model('Generate a greeting', 50), client_roots: ask.roots }, { asked: 'three' });
  }),
  tool('test_input_required_result_multi_round', 'Asks twice', async (wire) => {
    const state = z.object({ name: z.string() }).safeParse(wire.state);
    const color = field(wire, 'step2', 'color');
    if (state.success && typeof color === 'string') return [text(`${state.data.name} likes ${color}.`)];
    const name = field(wire, 'step1', 'name');
    if (typeof name !== 'string') return wire.ask({ step1: question('Step 1: What is your name?', 'name') }, { round: 1 });
    return wire.ask({ step2: question('Step 2: What is your favorite color?', 'color') }, { round: 2, name });
  }),
  tool('test_input_required_result_tampered_state', 'Asks with a sealed state', async (wire) =>
    wire.state === undefined ? wire.ask({ confirm: ask.confirm }, { sealed: true }) : [text('the state came back unchanged')],
  ),
  tool('test_input_required_result_capabilities', 'Asks only what the client can', async (wire) => {
    const requests: InputRequests = {
      ...(wire.capabilities['elicitation'] === undefined ? {} : { user_name: ask.name }),
      ...(wire.capabilities['sampling'] === undefined ? {} : { greeting: ask.model('Generate a greeting', 50) }),
      ...(wire.capabilities['roots'] === undefined ? {} : { client_roots: ask.roots }),
    };
    return Object.keys(requests).some((key) => !(key in wire.answers)) ? wire.ask(requests) : [text('nothing left to ask')];
  }),
  tool('test_missing_capability', 'Needs a model of the client', async (wire) => wire.ask({ needed: ask.model('Anything', 10) })),
  tool('test_streaming_elicitation', 'Tells and asks on one stream', async (wire) => {
    await wire.progress(1, 2);
    return wire.ask({ user_name: ask.name });
  }),
];

function question(message: string, name: string) {
  return inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [name]: { type: 'string' } }, required: [name] },
  });
}

export const conformanceTools: readonly WireTool[] = [...contents, ...live, ...pushed, ...rounds];
