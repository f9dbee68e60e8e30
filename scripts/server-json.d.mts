export function serverJsonOf(text: string, pkg: { name: string; version: string; mcpName: string }): string;
