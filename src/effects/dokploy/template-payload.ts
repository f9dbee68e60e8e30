/** The payload of a template, and the secrets that answers about a service carry. Pure. */

/** The form that compose.import and compose.previewTemplate take: base64 of {compose, config}. */
export function encodeTemplate(template: { compose: string; toml: string }): string {
  return Buffer.from(JSON.stringify({ compose: template.compose, config: template.toml })).toString('base64');
}

const SECRET_NAME = /(KEY|SECRET|PASSWORD|PASS|TOKEN)/;

/** Hands every secret of an answer to `onSecret`: values of secret-named variables and the webhook token. Returns the answer unchanged. */
export function announceSecrets<T>(answer: T, onSecret: ((value: string) => void) | undefined): T {
  if (!onSecret || typeof answer !== 'object' || answer === null) return answer;
  const token: unknown = Reflect.get(answer, 'refreshToken');
  if (typeof token === 'string' && token !== '') onSecret(token);
  for (const line of environmentLines(answer)) {
    const match = /^\s*(?:export\s+)?([\w.]+)\s*=\s*(.*?)\s*$/.exec(line);
    const value = (match?.[2] ?? '').replace(/^(["'])(.*)\1$/, '$2');
    if (value.length >= 8 && SECRET_NAME.test(match?.[1] ?? '')) onSecret(value);
  }
  return answer;
}

function environmentLines(answer: object): string[] {
  const env: unknown = Reflect.get(answer, 'env');
  const template: unknown = Reflect.get(answer, 'template');
  const previewed: unknown = typeof template === 'object' && template !== null ? Reflect.get(template, 'envs') : undefined;
  const lines = typeof env === 'string' ? env.split(/\r?\n/) : [];
  return Array.isArray(previewed) ? [...lines, ...previewed.filter((line): line is string => typeof line === 'string')] : lines;
}
