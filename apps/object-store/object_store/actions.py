"""Binds the store's methods to the app's actions. Each takes the caller from the call and does nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from object_store.store import Store
from pcloud.app import App

__all__ = ["bind_actions"]


def bind_actions(app: App, store: Callable[[], Store]) -> None:
    """`store`: returns the open store; called for each action."""

    def caller() -> str:
        return app.context().caller

    @app.action
    async def create_bucket(bucket: str) -> dict[str, Any]:
        return await store().create_bucket(caller(), bucket)

    @app.action
    async def create_bucket_with_webhook(bucket: str, webhook: str) -> dict[str, Any]:
        return await store().create_bucket(caller(), bucket, webhook)

    @app.action
    async def issue_credentials(
        name: str,
        bucket: str,
        prefix: str | None = None,
        write: bool | None = None,
        delete: bool | None = None,
        holder: str | None = None,
    ) -> dict[str, Any]:
        return await store().issue_credentials(caller(), name, bucket, prefix or "", bool(write), delete, holder or "")

    @app.action
    async def revoke_credentials(access_key: str) -> dict[str, Any]:
        return await store().revoke_credentials(caller(), access_key)

    @app.action
    async def get_object(bucket: str, key: str, seconds: int | None = None) -> dict[str, Any]:
        return await store().get_object(caller(), bucket, key, _or(seconds, 900))

    @app.action
    async def put_object(
        bucket: str, key: str, seconds: int | None = None, content_type: str | None = None
    ) -> dict[str, Any]:
        return await store().put_object(caller(), bucket, key, _or(seconds, 900), content_type or "")

    @app.action
    async def list_objects(
        bucket: str, prefix: str | None = None, after: str | None = None, first: int | None = None
    ) -> dict[str, Any]:
        return await store().list_objects(caller(), bucket, prefix or "", after or "", _or(first, 1000))

    @app.action
    async def delete_object(bucket: str, key: str) -> dict[str, Any]:
        return await store().delete_object(caller(), bucket, key)

    @app.action
    async def callers_changed() -> dict[str, Any]:
        await store().keys.check()
        return {}

    @app.action
    async def waiting() -> dict[str, Any]:
        return await store().waiting()

    @app.action(name="forget-caller")
    async def forget(caller: str) -> dict[str, Any]:
        return await store().forget_caller(caller)

    @app.action
    async def usage(bucket: str | None = None) -> dict[str, Any]:
        return await store().usage(caller(), bucket or "")

    @app.action
    async def export(bucket: str, after: str | None = None, first: int | None = None) -> dict[str, Any]:
        return await store().export(caller(), bucket, after or "", _or(first, 1000))


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
