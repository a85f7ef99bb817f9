import logging

from fastapi import FastAPI

from app.routers import orders, products

logger = logging.getLogger(__name__)

app = FastAPI(title="Shop")
app.include_router(products.router)
app.include_router(orders.router)


@app.get("/health")
def health():
    logger.info("health was asked for")
    return {"status": "ok"}
