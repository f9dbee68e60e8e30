export function withTable(readme: string, tools: readonly { name: string; description: string }[]): string;
