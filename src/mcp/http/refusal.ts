/** A refusal before any MCP server is there: a JSON-RPC error without an id, with the HTTP status that fits. */
export function refusal(status: number, code: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ jsonrpc: '2.0', error: { code, message }, id: null }, { status, headers });
}
