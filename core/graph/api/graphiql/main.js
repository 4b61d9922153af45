// GraphiQL against the address that served this page, subscriptions included; nothing comes from anywhere else.
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

import "./main.css";

const url = location.origin + location.pathname;
const fetcher = createGraphiQLFetcher({ url, subscriptionUrl: url.replace(/^http/, "ws") });
const welcome = `# PCloud's graph, through your own view. Ctrl-Enter runs the operation; the book on the left is the schema.
{
  revision
}
`;

const signOut = createElement("form", { method: "post", action: "/_pcloud/signout", className: "sign-out" }, createElement("button", null, "Sign out"));
const logo = createElement(GraphiQL.Logo, null, createElement("a", { href: "/" }, "Your cloud"), signOut);

createRoot(document.getElementById("graphiql")).render(createElement(GraphiQL, { fetcher, defaultQuery: welcome }, logo));
