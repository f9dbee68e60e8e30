/** The resources, prompts and completions that the official conformance suite asks for. */
import { completable, inputRequired, type McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { png } from './conformance-tools.ts';

export function conformanceSurroundings(server: McpServer): void {
  server.server.registerCapabilities({ logging: {}, resources: { subscribe: true }, completions: {} });
  resources(server);
  prompts(server);
}

function resources(server: McpServer): void {
  const describe = (description: string, mimeType: string) => ({ description, mimeType });
  server.registerResource('static-text', 'test://static-text', describe('A text', 'text/plain'), async (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
  }));
  server.registerResource('static-binary', 'test://static-binary', describe('An image', 'image/png'), async (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'image/png', blob: png }],
  }));
  server.registerResource('watched', 'test://watched-resource', describe('Something to watch', 'text/plain'), async (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'Watched.' }],
  }));
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  server.registerResource('template', template, describe('Data by id', 'application/json'), async (uri, { id }) => ({
    contents: [
      { uri: uri.href, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) },
    ],
  }));
  const watched = new Set<string>();
  server.server.setRequestHandler('resources/subscribe', ({ params }) => {
    watched.add(params.uri);
    return {};
  });
  server.server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    watched.delete(params.uri);
    return {};
  });
}

const said = (text: string) => ({ role: 'user' as const, content: { type: 'text' as const, text } });

function prompts(server: McpServer): void {
  server.registerPrompt('test_simple_prompt', { description: 'A prompt without arguments' }, async () => ({
    messages: [said('This is a simple prompt for testing.')],
  }));
  const cities = ['paris', 'park', 'party'];
  const argument = (description: string) =>
    completable(z.string().describe(description), (value) => cities.filter((city) => city.startsWith(value)));
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'A prompt with two', argsSchema: z.object({ arg1: argument('First'), arg2: argument('Second') }) },
    async ({ arg1, arg2 }) => ({ messages: [said(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'A prompt with a resource in it', argsSchema: z.object({ resourceUri: z.string() }) },
    async ({ resourceUri }) => ({
      messages: [
        {
          role: 'user',
          content: {
            type: 'resource',
            resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' },
          },
        },
        said('Please process the embedded resource above.'),
      ],
    }),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'A prompt with an image in it' }, async () => ({
    messages: [{ role: 'user', content: { type: 'image', data: png, mimeType: 'image/png' } }, said('Please analyze the image above.')],
  }));
  const requestedSchema = { type: 'object' as const, properties: { context: { type: 'string' as const } }, required: ['context'] };
  const formShape = z.looseObject({ content: z.looseObject({ context: z.string() }) });
  server.registerPrompt('test_input_required_result_prompt', { description: 'A prompt that asks first' }, async (ctx) => {
    const form = formShape.safeParse(ctx.mcpReq.inputResponses?.['user_context']);
    if (form.success) return { messages: [said(`Context: ${form.data.content.context}`)] };
    const user_context = inputRequired.elicit({ message: 'What context should the prompt use?', requestedSchema });
    return inputRequired({ inputRequests: { user_context } });
  });
}
