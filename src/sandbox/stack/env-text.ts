/** Environment texts and `${VAR}` interpolation, as Dokploy and docker compose read them. */

export type Variables = Record<string, string>;

const unquote = (value: string): string => {
  const quoted = /^(["'`])([\s\S]*)\1$/.exec(value);
  return quoted === null ? value.replace(/\s+#.*$/, '').trim() : (quoted[2] ?? '');
};

/** Reads a dotenv text; later lines win, comments and lines without `=` are skipped. */
export function parseEnvText(text: string): Variables {
  const found: Variables = {};
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*?)\s*$/.exec(line);
    if (match !== null) found[match[1] ?? ''] = unquote(match[2] ?? '');
  }
  return found;
}

const unknownReference = (reference: string): Error => new Error(`Invalid environment reference "${reference}": it is not defined`);

/** Fills `${{project.X}}` and `${{environment.X}}`; an unknown reference throws, as it fails the deployment. */
export function fillReferences(text: string, sources: { project: Variables; environment: Variables }): string {
  return text.replace(/\$\{\{\s*([\w.-]+)\s*\}\}/g, (_match, reference: string) => {
    const [scope, name = ''] = [reference.slice(0, reference.indexOf('.')), reference.slice(reference.indexOf('.') + 1)];
    const value = scope === 'project' ? sources.project[name] : scope === 'environment' ? sources.environment[name] : undefined;
    if (value === undefined) throw unknownReference(reference);
    return value;
  });
}

/** The index of the brace that closes the one before `from`. */
function closingBrace(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at += 1) {
    if (text.startsWith('${', at)) depth += 1;
    if (text[at] === '}') depth -= 1;
    if (depth === 0) return at;
  }
  throw new Error(`Invalid template: "${text}"`);
}

function resolve(expression: string, variables: Variables): string {
  const [, name = '', operator = '', word = ''] = /^(\w+)(:?[-?+])?([\s\S]*)$/.exec(expression) ?? [];
  if (name === '') throw new Error(`Invalid template: "\${${expression}}"`);
  const value = variables[name];
  const isSet = value !== undefined && !(operator.startsWith(':') && value === '');
  switch (operator.at(-1)) {
    case '-':
      return isSet ? value : interpolate(word, variables);
    case '+':
      return isSet ? interpolate(word, variables) : '';
    case '?':
      if (isSet) return value;
      throw new Error(`required variable ${name} is missing a value: ${word}`);
    default:
      return value ?? '';
  }
}

/** Replaces `$VAR`, `${VAR}`, `${VAR:-default}` and its kin; `$$` stands for one dollar sign. */
export function interpolate(text: string, variables: Variables): string {
  let result = '';
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] !== '$') {
      result += text[at];
    } else if (text[at + 1] === '$') {
      result += '$';
      at += 1;
    } else if (text[at + 1] === '{') {
      const end = closingBrace(text, at + 2);
      result += resolve(text.slice(at + 2, end), variables);
      at = end;
    } else {
      const name = /^\w+/.exec(text.slice(at + 1))?.[0] ?? '';
      result += name === '' ? '$' : (variables[name] ?? '');
      at += name.length;
    }
  }
  return result;
}
