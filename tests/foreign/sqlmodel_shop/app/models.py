from datetime import datetime, timezone

from sqlmodel import Field, Relationship, SQLModel


class ProductBase(SQLModel):
    sku: str = Field(index=True, unique=True)
    name: str
    price_cents: int
    stock: int = 0


class Product(ProductBase, table=True):
    id: int | None = Field(default=None, primary_key=True)


class ProductCreate(ProductBase):
    pass


class ProductPublic(ProductBase):
    id: int


class OrderLine(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="order.id")
    product_id: int = Field(foreign_key="product.id")
    quantity: int

    order: "Order" = Relationship(back_populates="lines")


class Order(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    email: str
    created_at: datetime = Field(default_factory=lambda: datetime.now(timezone.utc))

    lines: list[OrderLine] = Relationship(back_populates="order")


class OrderItem(SQLModel):
    sku: str
    quantity: int


class OrderCreate(SQLModel):
    email: str
    items: list[OrderItem]


class OrderPublic(SQLModel):
    id: int
    email: str
    total_cents: int
