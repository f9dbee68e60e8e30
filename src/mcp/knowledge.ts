/** Knowledge as resources (design §5): an article for each code that an answer may carry. The same for everybody, and without the store. */
import { type McpServer, ResourceNotFoundError, ResourceTemplate } from '@modelcontextprotocol/server';
import { articles, articleText, indexText } from '../knowledge.ts';

const mimeType = 'text/markdown';
const offered = 100;

export function registerKnowledge(server: McpServer): void {
  server.registerResource(
    'knowledge',
    'capstan://knowledge',
    { title: 'Codes and what they mean', description: 'Every code of an error, finding or warning, with its first sentence', mimeType },
    (uri) => ({ contents: [{ uri: uri.href, mimeType, text: indexText() }] }),
  );
  server.registerResource(
    'knowledge-article',
    new ResourceTemplate('capstan://knowledge/{code}', {
      list: undefined, // several hundred, which nobody wants in a list: the index names them
      complete: {
        code: (typed) => [...articles().keys()].filter((code) => code.startsWith(typed.toUpperCase())).slice(0, offered),
      },
    }),
    { title: 'A code', description: 'What an error, finding or warning means and what to do next', mimeType },
    (uri, { code }) => {
      const found = articles().get(String(Array.isArray(code) ? code[0] : code).toUpperCase());
      if (!found) throw new ResourceNotFoundError(uri.href, 'There is no such code: capstan://knowledge lists them.');
      return { contents: [{ uri: uri.href, mimeType, text: articleText(found) }] };
    },
  );
}
